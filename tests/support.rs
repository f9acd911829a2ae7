//! A host with the guests a test names, on a bus or a server of its own and in its own directory.

pub(crate) mod server;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use conche::config::{Config, Flags, Mode};
use conche::envelope::{CloudEvent, Fault, Message, Payload, new_id, now};
use conche::host::Host;
use tempfile::TempDir;

use server::NatsServer;
pub(crate) use wire::Wire;

/// The longest that any condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What a host on a server may do in tests: all that `conche dev` grants.
const GRANTS: &str = r#"
[health]
listen = "off"
[plugins.default.grants]
emit = ["org.cyverse.events.>"]
request = ["cyverse.>"]
any-query = true
any-event = true
"#;

/// What a test's host runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Nats,
    Bus,
}

/// A built component, from `cargo xtask guests`.
pub(crate) fn guest(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let built = [target.join("plugins"), target.join("guests")]
        .map(|folder| folder.join(format!("{name}.wasm")));
    let found = built.iter().find(|path| path.exists());
    found
        .unwrap_or_else(|| {
            panic!(
                "{} is not built: run cargo xtask guests",
                built[1].display()
            )
        })
        .clone()
}

/// A host and its directory; both end with the test.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) dir: TempDir,
    pub(crate) wire: Wire,
    pub(crate) server: Option<NatsServer>,
}

impl TestHost {
    /// Starts on the embedded bus with these guests, each under its own name.
    pub(crate) async fn start(guests: &[&str]) -> TestHost {
        TestHost::on(On::Bus, guests, "").await
    }

    /// Starts with these guests and these lines of configuration.
    pub(crate) async fn on(on: On, guests: &[&str], config: &str) -> TestHost {
        let server = (on == On::Nats).then(NatsServer::start);
        TestHost::with_server(server, guests, config).await
    }

    /// Starts on this server, or on the embedded bus.
    pub(crate) async fn with_server(
        server: Option<NatsServer>,
        guests: &[&str],
        config: &str,
    ) -> TestHost {
        let dir = tempfile::tempdir().unwrap();
        for name in guests {
            std::fs::copy(guest(name), dir.path().join(format!("{name}.wasm"))).unwrap();
        }
        let url = server.as_ref().map(NatsServer::url);
        let config = resolve(dir.path(), url.as_deref(), config);
        let host = Host::start(config, &tokio::runtime::Handle::current())
            .await
            .unwrap();
        let wire = match &url {
            Some(url) => Wire::connect(url).await,
            None => Wire::Bus(host.bus().unwrap().clone()),
        };
        TestHost {
            host,
            dir,
            wire,
            server,
        }
    }

    /// Asks as any service would.
    pub(crate) async fn ask(&self, op: &str, json: &str) -> Result<Message, String> {
        let message = event(op, json).to_structured().unwrap();
        self.wire.request(op, message, DEADLINE).await
    }

    /// Asks, and reads the JSON of the answer or the fault.
    pub(crate) async fn ask_json(&self, op: &str, json: &str) -> Result<String, Fault> {
        let message = self.ask(op, json).await.unwrap();
        if let Some(fault) = Fault::from_message(&message) {
            return Err(fault);
        }
        match CloudEvent::decode(&message).unwrap().data {
            Some(Payload::Json(json)) => Ok(json),
            other => panic!("no JSON: {other:?}"),
        }
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn ask_until(&self, op: &str, json: &str, wanted: impl Fn(&str) -> bool) {
        let asked = async {
            loop {
                if let Ok(answer) = self.ask(op, json).await
                    && wanted(&String::from_utf8_lossy(&answer.body))
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, asked).await;
        waited.expect("the answer never came");
    }

    /// Publishes an event as any service would.
    pub(crate) async fn publish(&self, event: &CloudEvent) {
        let message = event.to_structured().unwrap();
        self.wire.publish(&event.ty, message).await.unwrap();
    }
}

/// The configuration of a host whose plugins are in `dir`.
pub(crate) fn resolve(dir: &Path, url: Option<&str>, more: &str) -> Config {
    let file = dir.join("conche.toml");
    let grants = if url.is_some() { GRANTS } else { "" };
    std::fs::write(&file, format!("{more}\n{grants}")).unwrap();
    let flags = Flags {
        config: Some(file),
        plugins: Some(dir.to_owned()),
        nats_url: url.map(str::to_owned),
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
        listen: Some("127.0.0.1:0".into()),
        ..Flags::default()
    };
    let mode = if url.is_some() { Mode::Run } else { Mode::Dev };
    Config::load(mode, &flags).unwrap()
}

/// An event with JSON data.
pub(crate) fn event(ty: &str, json: &str) -> CloudEvent {
    CloudEvent {
        id: new_id(),
        source: "/test".into(),
        ty: ty.into(),
        time: Some(now()),
        data: Some(Payload::Json(json.into())),
        ..CloudEvent::default()
    }
}
