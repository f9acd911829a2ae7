//! `[plugins.default]` and `[plugins.ceiling]`: what makes a policy of what a plugin's file says.

use crate::subject::SubjectPattern;

/// What the host itself bounds, whatever the ceiling says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBounds {
    /// Calls at the same time.
    pub slots: u32,
    /// What the engine was built for.
    pub max_memory_bytes: usize,
    /// What the engine was built for.
    pub max_table_elements: usize,
    /// What ops must match; listening to them is granted unless a policy says otherwise.
    pub namespace: Vec<SubjectPattern>,
    /// What the stream takes; listening to them is granted unless a policy says otherwise.
    pub events: Vec<SubjectPattern>,
}

/// Makes each plugin's [`Policy`](super::Policy).
#[derive(Debug, Clone)]
pub struct PolicyRules {
    pub(crate) bounds: HostBounds,
}
