//! Tries an image: runs it beside a nats-server with the greeter in it, asks the greeter over
//! NATS, and ends it as a cluster would. Everything it starts ends with it.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{container::Container, nats};
use crate::{guests, nats_server, workspace::Workspace};

const OP: &str = "cyverse.greeter.Greet";

pub(super) fn run(workspace: &Workspace, image: &str) -> Result<()> {
    let server_binary = nats_server::path(workspace)?;
    let built = guests::build(workspace)?;
    let folder = Folder::new(workspace)?;
    let plugins = folder.path.join("plugins");
    fs::create_dir(&plugins)?;
    for file in ["greeter.wasm", "greeter.toml"] {
        fs::copy(built.plugins.join(file), plugins.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    let server = nats::Server::start(&server_binary, &folder.path)?;
    let port = server.address.port();
    let environment = [
        // By name: a static program has to find addresses too.
        ("NATS_URL", format!("nats://localhost:{port}")),
        ("CONCHE_HEALTH_LISTEN", free_address()?.to_string()),
    ];
    let mut container = Container::start(image, &plugins, &environment)?;
    try_out(&mut container, server.address)
        .with_context(|| format!("{image} does not do its work"))?;
    println!("{image}: ready, answered a query, ended well");
    Ok(())
}

fn try_out(container: &mut Container, server: SocketAddr) -> Result<()> {
    container.wait_until_ready()?;
    let query = json!({
        "specversion": "1.0", "id": "image-query-1", "source": "/image",
        "type": OP, "datacontenttype": "application/json", "data": {"name": "Ada"},
    });
    let answer = nats::ask(server, OP, &query.to_string())?;
    let answer: Value = serde_json::from_str(&answer).context("the answer is no JSON")?;
    let expected = json!({"greeting": "Hello, Ada!"});
    ensure!(answer["data"] == expected, "answered {answer}");
    container.stop()
}

/// Free now; the container's health listener takes it a moment later.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// A directory that goes with us.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new(workspace: &Workspace) -> Result<Folder> {
        let name = format!("image/trial-{}", std::process::id());
        let path = workspace.target.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
