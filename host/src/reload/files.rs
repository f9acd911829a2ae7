//! What lies in the plugins and policies directories. The order is that in which claims count:
//! the older file first, then the name.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use tracing::warn;

use crate::config::PluginsConfig;
use crate::policy::{PluginName, Policy, PolicyFile};
use crate::sandbox::{COMPONENT_BYTES_MAX, Digest};
use crate::settings::Mistakes;

/// One `.wasm` file, read whole.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: PluginName,
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) policy_path: String,
    pub(super) policy_text: Option<String>,
    modified: SystemTime,
}

/// Reads all plugins. One that cannot be read is named in the log and passed over.
pub(super) fn find(config: &PluginsConfig) -> io::Result<Vec<Found>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&config.dir)? {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("wasm") => {}
            Some("cwasm") => {
                warn!(file = %path.display(), "compiled machine code is never loaded: drop the .wasm component");
                continue;
            }
            _ => continue,
        }
        match read(&path, config) {
            Ok(found) => all.push(found),
            Err(reason) => warn!(file = %path.display(), %reason, "plugin file passed over"),
        }
    }
    all.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    Ok(all)
}

fn read(path: &Path, config: &PluginsConfig) -> Result<Found, String> {
    let name = PluginName::of_file(path).map_err(|error| error.to_string())?;
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if metadata.len() > COMPONENT_BYTES_MAX as u64 {
        return Err(format!(
            "has {} bytes, more than the {COMPONENT_BYTES_MAX} that a component may have",
            metadata.len()
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let policy_path = config.policies.join(format!("{name}.toml"));
    let policy_text = match std::fs::read_to_string(&policy_path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{}: {error}", policy_path.display())),
    };
    Ok(Found {
        name,
        digest: Digest::of(&bytes),
        bytes,
        policy_path: policy_path.display().to_string(),
        policy_text,
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

/// The policy of one plugin, references to the environment and files resolved.
pub(super) fn policy(config: &PluginsConfig, found: &Found) -> Result<Policy, Mistakes> {
    let file = PolicyFile {
        path: &found.policy_path,
        text: found.policy_text.as_deref(),
    };
    config.rules.resolve(file, crate::config::lookups())
}
