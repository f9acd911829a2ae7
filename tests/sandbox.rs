//! One plugin at a time, called without a host: limits, instances, the cache of compiled code.

mod cache;
mod double;
mod instances;
mod limits;
mod load;
mod log;
mod register;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use conche::config::{CacheConfig, Config};
use conche::embedded::Bus;
use conche::envelope::Payload;
use conche::outbound::Outbound;
use conche::plugin::{Plugin, RegisterError};
use conche::policy::{PluginName, Policy};
use conche::sandbox::{Call, Failure, QueryOutcome, Sandbox, SandboxSettings, Stage, Tenant};
use serde_json::Value;

use crate::support::{event, guest, resolve};

/// One engine for all tests that need no other.
pub(crate) static SANDBOX: LazyLock<Sandbox> =
    LazyLock::new(|| sandbox(Some(cache_in(cache_dir()))));

/// What all tenants share.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    Arc::new(resolve(dir.path(), None, "[calls]\nhop_limit = 4\n"))
});

/// Shared by all tests and kept between runs: compiling takes the longest of all.
fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

fn cache_in(dir: impl Into<PathBuf>) -> CacheConfig {
    CacheConfig {
        dir: dir.into(),
        max_bytes: 1 << 30,
    }
}

fn sandbox(cache: Option<CacheConfig>) -> Sandbox {
    sandbox_for(64, cache)
}

fn sandbox_for(instances: u32, cache: Option<CacheConfig>) -> Sandbox {
    Sandbox::new(&SandboxSettings {
        instances,
        memory_bytes: 256 << 20,
        table_elements: 40_000,
        cache,
    })
    .unwrap()
}

/// Loads a guest under a policy that grants all, changed as the test wants it.
async fn load(name: &str, change: impl FnOnce(&mut Policy)) -> Result<Plugin, RegisterError> {
    load_in(&SANDBOX, name, change).await
}

async fn load_in(
    sandbox: &Sandbox,
    name: &str,
    change: impl FnOnce(&mut Policy),
) -> Result<Plugin, RegisterError> {
    load_file(sandbox, &guest(name), change, None).await
}

/// Loads a component from anywhere; a stage sees what it uses.
pub(crate) async fn load_file(
    sandbox: &Sandbox,
    file: &Path,
    change: impl FnOnce(&mut Policy),
    stage: Option<Arc<Stage>>,
) -> Result<Plugin, RegisterError> {
    let mut policy = Policy::allow_all();
    change(&mut policy);
    let compiled = sandbox.compile(&std::fs::read(file).unwrap()).unwrap();
    let outbound = Outbound::Embedded(Bus::default());
    let mut tenant = Tenant::alone(
        PluginName::of_file(file).unwrap(),
        compiled.digest,
        policy,
        CONFIG.clone(),
        outbound,
    );
    tenant.stage = stage;
    Plugin::load(compiled, tenant).await
}

/// Asks a plugin, past dispatch.
pub(crate) async fn ask(plugin: &Plugin, op: &str, json: &str) -> Result<QueryOutcome, Failure> {
    ask_again(plugin, op, json, 1).await
}

async fn ask_again(
    plugin: &Plugin,
    op: &str,
    json: &str,
    attempt: u32,
) -> Result<QueryOutcome, Failure> {
    let event = Arc::new(event(op, json));
    let queries = &plugin.registrations().queries;
    let (handler, _) = queries.iter().find(|(_, served)| served == op).unwrap();
    let call = Call {
        attempt,
        ..Call::first(handler, &event, plugin.policy().limits.deadline)
    };
    plugin.query(&call).await
}

/// The JSON of a reply.
pub(crate) fn reply(outcome: Result<QueryOutcome, Failure>) -> Value {
    let reply = outcome.unwrap().answer.unwrap();
    match reply.and_then(|reply| reply.data) {
        Some(Payload::Json(json)) => serde_json::from_str(&json).unwrap(),
        other => panic!("no JSON: {other:?}"),
    }
}
