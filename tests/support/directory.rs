//! What a test does to a host's plugins directory, and how it waits until the host has seen it.

use std::path::PathBuf;
use std::sync::Arc;

use conche::plugin::Plugin;
use conche::reload::Report;
use conche::sandbox::Digest;

use super::{DEADLINE, TestHost, plugin_name};

impl TestHost {
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

    /// Waits until the newest version of a plugin serves.
    pub(crate) async fn serves(&self, name: &str) {
        let name = plugin_name(name);
        let serves = |report: &Report| {
            let standing = report.plugins.get(&name);
            standing.is_some_and(|standing| standing.refusal.is_none())
        };
        self.reports(serves).await;
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
}
