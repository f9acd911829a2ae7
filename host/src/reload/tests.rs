//! What is tried, and tried again, without a plugin that could serve.

use super::{Again, Reload};
use crate::config::{Config, Flags, Inputs, Machine, Mode};
use crate::dispatch::Dispatcher;
use crate::host::{embedded_bus, sandbox};
use crate::listeners::Listeners;
use crate::metrics::Metrics;
use crate::outbound::{Outbound, watch::Watch};
use crate::settings::Lookups;
use crate::shutdown::Shutdown;
use std::path::Path;
use std::sync::Arc;

fn reload(dir: &Path) -> Reload {
    let flags = Flags {
        plugins: Some(dir.to_owned()),
        cache_dir: Some(dir.with_extension("cache")),
        ..Flags::default()
    };
    let inputs = Inputs {
        mode: Mode::Dev,
        flags: &flags,
        file: None,
        lookups: Lookups {
            env: &|_| None,
            file: &|path| std::fs::read_to_string(path),
        },
        machine: &Machine::this(),
    };
    let config = Arc::new(Config::resolve(inputs).unwrap());
    let outbound = Outbound::Embedded(embedded_bus(&config).unwrap());
    let (stream, attribute) = (String::new(), String::new());
    let watch = Watch::new(
        outbound.clone(),
        stream,
        attribute,
        &Shutdown::default(),
        None,
    );
    let (listeners, _) = Listeners::new(watch);
    let dispatcher = Dispatcher::new(
        config.clone(),
        outbound.clone(),
        Arc::new(listeners),
        Dispatcher::lanes(&config),
        Arc::new(Metrics::new()),
    );
    let sandbox = Arc::new(sandbox(&config).unwrap());
    Reload::new(config, sandbox, Arc::new(dispatcher), outbound)
}

#[tokio::test]
async fn bytes_that_change_between_look_and_load_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.wasm");
    let mut reload = reload(dir.path());
    std::fs::write(&path, "the whole").unwrap();
    let found = reload.files.look(&reload.config.plugins).unwrap();
    // The same build is copied there again, and not all of it is back yet.
    std::fs::write(&path, "the").unwrap();
    reload.consider(&found[0]).await;
    let refusal = reload.tried[&found[0].name].refusal();
    let expected = format!("cannot read `{}`: changes while it is read", path.display());
    assert_eq!(refusal, Some(&*expected));
    std::fs::write(&path, "the whole").unwrap();
    reload.look().await;
    let refusal = reload.tried[&found[0].name].refusal().unwrap();
    assert!(
        refusal.starts_with("is no WebAssembly component"),
        "{refusal}"
    );
}

#[tokio::test]
async fn what_never_passes_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.wasm"), "no component").unwrap();
    let mut reload = reload(dir.path());
    reload.look().await;
    let tried = reload.tried.values().next().unwrap();
    assert!(tried.refusal().is_some() && tried.compiled().is_none());
    assert_eq!(tried.again(), Again::Never);
}
