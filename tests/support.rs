//! A host with the guests a test names, on its own bus and in its own directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conche::config::{Config, Flags, Mode};
use conche::envelope::{CloudEvent, Fault, Message, Payload, new_id, now};
use conche::host::Host;
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

/// A host and its directory; both end with the test.
pub(crate) struct TestHost {
    pub(crate) host: Host,
    pub(crate) dir: TempDir,
}

impl TestHost {
    /// Starts with these guests, each under its own name.
    pub(crate) async fn start(guests: &[&str]) -> TestHost {
        let dir = tempfile::tempdir().unwrap();
        for name in guests {
            std::fs::copy(guest(name), dir.path().join(format!("{name}.wasm"))).unwrap();
        }
        let flags = Flags {
            plugins: Some(dir.path().to_owned()),
            listen: Some("127.0.0.1:0".into()),
            ..Flags::default()
        };
        let config = Config::load(Mode::Dev, &flags).unwrap();
        let host = Host::start(config).await.unwrap();
        TestHost { host, dir }
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
