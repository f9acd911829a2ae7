//! What the last look at the plugins directory found, as a person asks for it. The registry says
//! what serves; this says what else lies there, and why it does not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::policy::PluginName;
use crate::sandbox::Digest;

/// What lies in the plugins directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Looks since the start, those that found nothing new included.
    pub looks: u64,
    /// Each plugin file.
    pub plugins: BTreeMap<PluginName, Standing>,
    /// Files that are no plugins and yet look like some, and why they are passed over.
    pub passed_over: BTreeMap<PathBuf, String>,
    /// Directories that could not be read, and why; then the rest is what the look before found.
    pub unreadable: BTreeMap<PathBuf, String>,
}

/// How the newest version of one plugin fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Of the file's bytes; `None` if they cannot be read.
    pub digest: Option<Digest>,
    /// Why it does not serve; an older version may.
    pub refusal: Option<String>,
}

impl Report {
    /// The plugins that were refused, and why.
    pub fn refused(&self) -> impl Iterator<Item = (&PluginName, &str)> {
        self.plugins
            .iter()
            .filter_map(|(name, standing)| Some((name, standing.refusal.as_deref()?)))
    }
}
