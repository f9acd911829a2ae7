//! A host with the guests a test names, on its own bus and in its own directory; and how a test
//! waits until that host has seen what the test did to the directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conche::config::{Config, Flags, Mode};
use conche::embedded::StoredMessage;
use conche::envelope::{CloudEvent, Fault, Message, Payload, new_id, now};
use conche::host::Host;
use conche::plugin::Plugin;
use conche::policy::{Granting, PluginName};
use conche::reload::Report;
use conche::sandbox::Digest;
use std::sync::Arc;
use tempfile::TempDir;

/// The longest that any condition may take to come true.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

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
    /// Where the plugins are, if somewhere else than in `TestHost::dir`.
    pub(crate) plugins: Option<&'a Path>,
}

/// A host and its directory; both end with the test.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) dir: TempDir,
}

impl Setup<'_> {
    /// The configuration for plugins in `dir`.
    pub(crate) fn config(&self, dir: &Path) -> Config {
        let aside = tempfile::tempdir().unwrap();
        let file = aside.path().join("conche.toml");
        std::fs::write(&file, self.config).unwrap();
        let flags = Flags {
            config: Some(file),
            plugins: Some(self.plugins.unwrap_or(dir).to_owned()),
            listen: Some("127.0.0.1:0".into()),
            // Compiled code may be shared: it is looked up by what it was compiled from.
            cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")),
            ..Flags::default()
        };
        let mut config = Config::load(Mode::Dev, &flags).unwrap();
        if self.grants_as_written {
            config.plugins.rules = config.plugins.rules.granted(Granting::AsWritten);
        }
        config
    }
}

impl TestHost {
    /// Starts with these guests, each under its own name.
    pub(crate) async fn start(guests: &[&str]) -> TestHost {
        TestHost::with(Setup {
            guests,
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
        let host = Host::start(setup.config(dir.path())).await.unwrap();
        TestHost { host, dir }
    }

    /// The file of a plugin.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.wasm"))
    }

    /// Writes a plugin's file as one should: under another name, then renamed.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let temporary = self.dir.path().join(format!("{name}.part"));
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(&temporary, self.path(name)).unwrap();
    }

    /// Writes or replaces a plugin's policy.
    pub(crate) fn put_policy(&self, name: &str, text: &str) {
        let temporary = self.dir.path().join(format!("{name}.part"));
        std::fs::write(&temporary, text).unwrap();
        let policy = self.dir.path().join(format!("{name}.toml"));
        std::fs::rename(&temporary, policy).unwrap();
    }

    /// Waits until a look found what is wanted.
    pub(crate) async fn reports(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        let mut reports = self.host.report();
        let waited = tokio::time::timeout(DEADLINE, reports.wait_for(|report| wanted(report)));
        match waited.await {
            Ok(report) => report.unwrap().clone(),
            Err(_) => panic!(
                "never reported; the last: {:#?}",
                self.host.report().borrow()
            ),
        }
    }

    /// Waits until the host tried these bytes as that plugin: why it refused them, if it did.
    pub(crate) async fn tried(&self, name: &str, bytes: &[u8]) -> Option<String> {
        let (name, digest) = (plugin_name(name), Digest::of(bytes));
        let is_tried = |report: &Report| {
            let standing = report.plugins.get(&name);
            standing.is_some_and(|standing| standing.digest == Some(digest))
        };
        self.reports(is_tried).await.plugins[&name].refusal.clone()
    }

    /// Waits until the host refuses a plugin with such a reason.
    pub(crate) async fn refuses(&self, name: &str, reason: &str) {
        let name = plugin_name(name);
        let refuses = |report: &Report| {
            let refusal = report.plugins.get(&name).and_then(|it| it.refusal.as_ref());
            refusal.is_some_and(|text| text.contains(reason))
        };
        self.reports(refuses).await;
    }

    /// The version that serves now.
    pub(crate) fn serving(&self, name: &str) -> Option<Arc<Plugin>> {
        let registry = self.host.dispatcher().registry();
        registry.plugin(&plugin_name(name)).cloned()
    }

    /// Slots of a plugin that serves.
    pub(crate) fn free_slots(&self, name: &str) -> usize {
        self.serving(name).unwrap().lanes().free()
    }

    /// Waits until a call runs, with the free slots there were before.
    pub(crate) async fn until_running(&self, name: &str, before: usize) {
        let running = async {
            while self.free_slots(name) == before {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, running).await;
        waited.expect("no call began");
    }

    /// Asks on the bus, as any service would.
    pub(crate) async fn ask(&self, op: &str, json: &str) -> Result<Message, String> {
        let message = event(op, json).to_structured().unwrap();
        let answer = self.host.bus().request(op, message, DEADLINE).await;
        answer.map_err(|error| error.to_string())
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
        self.host.bus().publish(ty, message, None).await.unwrap();
        event
    }

    /// Waits for so many events on a subject.
    pub(crate) async fn stored(&self, subject: &str, count: usize) -> Vec<StoredMessage> {
        self.messages("conche-events", subject, count).await
    }

    /// Waits for so many dead letters.
    pub(crate) async fn dead_letters(&self, count: usize) -> Vec<StoredMessage> {
        self.messages("conche-events-dlq", "conche.dlq.>", count)
            .await
    }

    async fn messages(&self, stream: &str, subject: &str, count: usize) -> Vec<StoredMessage> {
        let (bus, pattern) = (self.host.bus(), subject.parse().unwrap());
        let stored = bus.wait_for_messages(stream, &pattern, count, DEADLINE);
        let stored = stored.await;
        assert!(stored.len() >= count, "{stream}: {stored:#?}");
        stored
    }
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
