//! A real nats-server of a test's own, on a free port of 127.0.0.1, in a directory of its own; it
//! ends with the test. Must not know Conche.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// From its start to its ports file.
const START: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct NatsServer {
    child: Option<Child>,
    dir: TempDir,
    port: u16,
    more: String,
}

impl NatsServer {
    /// With JetStream.
    pub(crate) fn start() -> NatsServer {
        NatsServer::configured("jetstream { store_dir: \"DIR/js\" }\n")
    }

    /// With this configuration; `DIR` in it is the server's own directory.
    pub(crate) fn configured(more: &str) -> NatsServer {
        NatsServer::with_files(more, &[])
    }

    /// With this configuration, and files in its directory, each a name and a text.
    pub(crate) fn with_files(more: &str, files: &[(&str, &str)]) -> NatsServer {
        let mut server = NatsServer {
            child: None,
            dir: tempfile::tempdir().unwrap(),
            port: 0,
            more: more.to_owned(),
        };
        for (name, text) in files {
            std::fs::write(server.dir.path().join(name), text).unwrap();
        }
        server.up();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where it listens, without a scheme.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file in its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Kills it, as a crash does.
    pub(crate) fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it, on the port that it had before if it had one.
    pub(crate) fn up(&mut self) {
        let dir = self.dir.path();
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let config = dir.join("server.conf");
        let more = self.more.replace("DIR", dir.to_str().unwrap());
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{}\"\npid_file: \"{}\"\n{more}",
            dir.display(),
            dir.join("pid").display(),
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let child = Command::new(binary())
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let ports = dir.join(format!("nats-server_{}.ports", child.id()));
        self.child = Some(child);
        self.port = wait_for_port(&ports, dir);
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.down();
    }
}

fn binary() -> PathBuf {
    match std::env::var_os("NATS_SERVER_BIN") {
        Some(path) => path.into(),
        None => panic!("NATS_SERVER_BIN is not set: run the tests with cargo xtask test"),
    }
}

fn wait_for_port(ports: &Path, dir: &Path) -> u16 {
    let until = Instant::now() + START;
    while Instant::now() < until {
        let port = std::fs::read_to_string(ports)
            .ok()
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            .and_then(|json| json["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok());
        if let Some(port) = port {
            return port;
        }
        std::thread::yield_now();
    }
    let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
    panic!("nats-server did not start:\n{log}");
}
