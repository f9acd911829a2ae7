//! A host with the guests a test names, on a bus or a server of its own and in its own directory.

mod directory;
pub(crate) mod interop;
pub(crate) mod server;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use conche::config::{Config, Flags, Mode};
use conche::dispatch::Dispatcher;
use conche::embedded::Bus;
use conche::envelope::{CloudEvent, Fault, Message, Payload, new_id, now};
use conche::host::{Host, Runtimes};
use conche::policy::{Granting, PluginName};
use tempfile::TempDir;

use server::NatsServer;
pub(crate) use wire::{Found, Wire};

/// The longest that any condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// What a host on a server may do in tests: all that `conche dev` grants.
const GRANTS: &str = r#"
[health]
listen = "off"
[plugins.default.grants]
emit = ["org.cyverse.events.>"]
request = ["cyverse.>"]
exchange = ["org.cyverse.events.>"]
listen = ["org.cyverse.events.>"]
any-query = true
any-event = true
"#;

/// The same test on both.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_nats {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::support::On::Nats).await; })+
        }
        mod on_the_bus {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::support::On::Bus).await; })+
        }
    };
}
pub(crate) use on_both;

/// What a test's host runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Nats,
    Bus,
}

/// A built component: of `cargo xtask test`, or of `cargo xtask guests` before.
pub(crate) fn guest(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let folder = |variable: &str, name: &str| {
        std::env::var_os(variable).map_or_else(|| target.join(name), PathBuf::from)
    };
    let folders = [
        folder("CONCHE_PLUGINS_BUILT", "plugins/rust"),
        folder("CONCHE_GUESTS", "guests"),
    ];
    let files = folders.map(|folder| folder.join(format!("{name}.wasm")));
    let found = files.into_iter().find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{name}.wasm is not built: run cargo xtask guests"))
}

/// The bytes of a built component.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(guest(name)).unwrap()
}

/// How a host starts, where it differs from a bare `conche dev`.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Each under its own name.
    pub(crate) guests: &'a [&'a str],
    /// Plugin and text.
    pub(crate) policies: &'a [(&'a str, &'a str)],
    /// The text of `conche.toml`.
    pub(crate) config: &'a str,
    /// Only what policies grant, as `conche run` has it; otherwise everything.
    pub(crate) grants_as_written: bool,
    /// Runs on it; otherwise on the embedded bus.
    pub(crate) server: Option<NatsServer>,
    /// Where it runs beside this runtime; otherwise all of it on this.
    pub(crate) runtimes: Option<Runtimes>,
    /// Where the plugins are, if somewhere else than in `TestHost::dir`.
    pub(crate) plugins: Option<&'a Path>,
}

/// A host and its directory; both end with the test.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) dir: TempDir,
    pub(crate) wire: Wire,
    pub(crate) server: Option<NatsServer>,
}

/// Waits until a call is with its guest.
pub(crate) async fn until_called(dispatcher: &Dispatcher) {
    let called = async {
        while dispatcher.free_slots() == dispatcher.slots() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(DEADLINE, called).await;
    waited.expect("no call began");
}

impl Setup<'_> {
    /// The configuration for plugins in `dir`.
    pub(crate) fn config(&self, dir: &Path) -> Config {
        let plugins = self.plugins.unwrap_or(dir);
        let url = self.server.as_ref().map(NatsServer::url);
        let mut config = resolve(plugins, url.as_deref(), self.config);
        if self.grants_as_written {
            config.plugins.rules = config.plugins.rules.granted(Granting::AsWritten);
        }
        config
    }
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
        TestHost::with(Setup {
            guests,
            config,
            server,
            ..Setup::default()
        })
        .await
    }

    pub(crate) async fn with(setup: Setup<'_>) -> TestHost {
        let dir = tempfile::tempdir().unwrap();
        for name in setup.guests {
            std::fs::copy(guest(name), dir.path().join(format!("{name}.wasm"))).unwrap();
        }
        for (name, text) in setup.policies {
            std::fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
        }
        let runtimes = setup.runtimes.clone().unwrap_or_else(Runtimes::one);
        let host = Host::start(setup.config(dir.path()), &runtimes)
            .await
            .unwrap();
        let wire = match &setup.server {
            Some(server) => Wire::connect(&server.url()).await,
            None => Wire::Bus(host.bus().unwrap().clone()),
        };
        TestHost {
            host,
            dir,
            wire,
            server: setup.server,
        }
    }

    /// The bus of a host that runs on it.
    pub(crate) fn bus(&self) -> &Bus {
        self.host.bus().unwrap()
    }

    /// What the host counts, as a scrape gets it.
    pub(crate) fn metrics(&self) -> String {
        self.host.dispatcher().metrics().render()
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

    /// Publishes an event, as any service would.
    pub(crate) async fn publish(&self, ty: &str, json: &str) -> CloudEvent {
        let event = event(ty, json);
        let message = event.to_structured().unwrap();
        self.wire.publish(ty, message).await.unwrap();
        event
    }

    /// Waits for so many events on a subject.
    pub(crate) async fn stored(&self, subject: &str, count: usize) -> Vec<Found> {
        self.wire.wait_for("conche-events", subject, count).await
    }

    /// Waits until a plugin stands still: its dead letters are not taken.
    pub(crate) async fn stands_still(&self, plugin: &str) {
        let series = format!("conche_plugin_stopped{{plugin=\"{plugin}\"}}");
        self.counted(&series, 1.0).await;
    }

    /// Waits until a series of the metrics is at least so much.
    pub(crate) async fn counted(&self, series: &str, least: f64) {
        let counted = async {
            loop {
                let metrics = self.metrics();
                let value = metrics.lines().find_map(|line| line.strip_prefix(series));
                if value.is_some_and(|value| value.trim().parse::<f64>().unwrap() >= least) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, counted).await;
        waited.unwrap_or_else(|_| panic!("{series} never came to {least}"));
    }

    /// Waits for so many dead letters.
    pub(crate) async fn dead_letters(&self, count: usize) -> Vec<Found> {
        let stream = "conche-events-dlq";
        self.wire.wait_for(stream, "conche.dlq.>", count).await
    }
}

/// The configuration of a host whose plugins are in `dir`.
pub(crate) fn resolve(dir: &Path, url: Option<&str>, more: &str) -> Config {
    // Not among the plugins: a test may take their directory away.
    let aside = tempfile::tempdir().unwrap();
    let file = aside.path().join("conche.toml");
    let grants = if url.is_some() { GRANTS } else { "" };
    std::fs::write(&file, format!("{more}\n{grants}")).unwrap();
    let flags = Flags {
        config: Some(file),
        plugins: Some(dir.to_owned()),
        nats_url: url.map(str::to_owned),
        // Compiled code may be shared: it is looked up by what it was compiled from.
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
        listen: Some("127.0.0.1:0".into()),
        ..Flags::default()
    };
    let mode = if url.is_some() { Mode::Run } else { Mode::Dev };
    Config::load(mode, &flags).unwrap()
}

pub(crate) fn plugin_name(name: &str) -> PluginName {
    name.parse().unwrap()
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
