//! `guest`: what a component costs that answers the greeter's query, in whatever language it is
//! written: to compile it, to call it, to keep it. For `cargo xtask guests --table`, which runs this
//! once for each: what one leaves in memory must not count for the next.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use conche::config::{Config, Flags, Mode};
use conche::envelope::CloudEvent;
use conche::host::embedded_bus;
use conche::outbound::Outbound;
use conche::plugin::Plugin;
use conche::policy::{InstanceMode, Policy};
use conche::sandbox::{Call, Compiled, Sandbox, SandboxSettings, Stage, Tenant};

use crate::bare::Bare;
use crate::call;
use crate::process::own_resident;
use crate::query::GREETER_OP;
use crate::table::Figures;

/// Calls of one instance, one after the other.
const SOAK: u64 = 20_000;
/// Of these, the ones that memory may grow in: heaps find their size, collectors their pace.
const SETTLING: u64 = 5_000;
/// Instances that are held at once to see what one holds.
const HELD: usize = 16;
/// How long calls are measured.
const WINDOW: Duration = Duration::from_secs(2);

/// What is printed, as a JSON object.
#[derive(Debug, serde::Serialize)]
struct Guest {
    /// Of the component.
    bytes: u64,
    /// With the optimizing compiler, on one core.
    compile_ms: f64,
    /// Median of calls that get an instance of their own.
    fresh_us: Option<f64>,
    /// Median of calls of one instance.
    warm_us: Option<f64>,
    /// Linear memory after the soak.
    memory_bytes: usize,
    /// What an instance that was called once adds to the process.
    resident_bytes: u64,
    /// Linear memory, from the call it had settled by to the last.
    grown_bytes: usize,
}

/// Where plugins are loaded, without a cache of compiled code.
struct Bench {
    sandbox: Sandbox,
    config: Arc<Config>,
    outbound: Outbound,
}

/// Measures one component and prints what came of it.
pub(crate) fn run(component: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Sandbox::prepare_thread();
    let guest = runtime.block_on(measure(component));
    let guest = guest.with_context(|| format!("{}", component.display()))?;
    println!("{}", serde_json::to_string(&guest)?);
    Ok(())
}

async fn measure(component: &Path) -> Result<Guest> {
    let bytes = fs::read(component)?;
    let bench = Bench::new()?;
    let began = Instant::now();
    let compiled = bench.sandbox.compile(&bytes)?;
    let compile = began.elapsed();
    let (memory_bytes, grown_bytes) = bench.soak(compiled.clone()).await?;
    Ok(Guest {
        bytes: bytes.len() as u64,
        compile_ms: compile.as_secs_f64() * 1e3,
        resident_bytes: bench.resident(&compiled, &bytes).await?,
        fresh_us: bench
            .calls(compiled.clone(), InstanceMode::Fresh)
            .await?
            .p50_us,
        warm_us: bench.calls(compiled, InstanceMode::Auto).await?.p50_us,
        memory_bytes,
        grown_bytes,
    })
}

impl Bench {
    fn new() -> Result<Bench> {
        let config = Config::load(Mode::Call, &Flags::default())?;
        let settings = SandboxSettings {
            instances: 64,
            memory_bytes: config.calls.max_memory_bytes,
            table_elements: config.calls.max_table_elements,
            cache: None,
        };
        let sandbox = Sandbox::new(&settings);
        Ok(Bench {
            sandbox: sandbox.map_err(|error| anyhow!("cannot start wasmtime: {error:#}"))?,
            outbound: Outbound::Embedded(embedded_bus(&config)?),
            config: Arc::new(config),
        })
    }

    /// The time of a call in the sandbox, budgets and effects included.
    async fn calls(&self, compiled: Compiled, mode: InstanceMode) -> Result<Figures> {
        let plugin = self.load(compiled, mode, None).await?;
        let query = call::query()?;
        call::window(async || ask(&plugin, &query).await, WINDOW).await
    }

    /// The linear memory that one instance has after many calls, and how much it grew after it had
    /// settled. Fails if any call does, or if it took a second instance.
    async fn soak(&self, compiled: Compiled) -> Result<(usize, usize)> {
        let stage = Arc::new(Stage::default());
        let plugin = self
            .load(compiled, InstanceMode::Auto, Some(stage.clone()))
            .await?;
        let query = call::query()?;
        let mut settled = 0;
        for call in 0..SOAK {
            let asked = ask(&plugin, &query).await;
            asked.with_context(|| format!("call {call}"))?;
            if call == SETTLING {
                settled = stage.seen().usage.call_memory_bytes;
            }
        }
        let usage = stage.seen().usage;
        ensure!(
            usage.instances == 2, // one for `register`
            "{} instances were made, though it says that one can be called again",
            usage.instances
        );
        Ok((usage.call_memory_bytes, usage.call_memory_bytes - settled))
    }

    /// What each of several instances that were called once adds to what the process holds.
    async fn resident(&self, compiled: &Compiled, component: &[u8]) -> Result<u64> {
        let plugin = self
            .load(compiled.clone(), InstanceMode::Auto, None)
            .await?;
        let handler = handler(&plugin)?;
        let bare = Bare::new(compiled.engine(), component);
        let bare = bare.map_err(|error| anyhow!("{error:#}"))?;
        let query = call::query()?;
        let mut held = Vec::new();
        let mut shared = 0;
        for count in 0..=HELD {
            let mut instance = call::instantiate(&bare).await?;
            instance.call(handler, &query).await?;
            held.push(instance);
            if count == 0 {
                shared = own_resident()?; // with the first one
            }
        }
        Ok(own_resident()?.saturating_sub(shared) / HELD as u64)
    }

    async fn load(
        &self,
        compiled: Compiled,
        mode: InstanceMode,
        stage: Option<Arc<Stage>>,
    ) -> Result<Plugin> {
        let mut policy = Policy::allow_all();
        policy.instances.mode = mode;
        policy.instances.max_calls = u64::MAX;
        policy.instances.memory_mark_bytes = policy.limits.memory_bytes;
        let mut tenant = Tenant::alone(
            "greeter".parse()?,
            compiled.digest,
            policy,
            self.config.clone(),
            self.outbound.clone(),
        );
        tenant.stage = stage;
        Ok(Plugin::load(compiled, tenant).await?)
    }
}

/// The name of the handler that answers.
fn handler(plugin: &Plugin) -> Result<&Arc<str>> {
    let mut registered = plugin.registrations().queries.iter();
    let route = registered.find(|(_, op)| op == GREETER_OP);
    let (handler, _) = route.with_context(|| format!("it serves no `{GREETER_OP}`"))?;
    Ok(handler)
}

async fn ask(plugin: &Plugin, query: &Arc<CloudEvent>) -> Result<()> {
    let call = Call::first(handler(plugin)?, query, plugin.policy().limits.deadline);
    match plugin.query(&call).await?.answer {
        Ok(Some(_)) => Ok(()),
        Ok(None) => bail!("it was not answered"),
        Err(fault) => bail!("it was answered with {}", fault.message),
    }
}
