//! Registrations that `plugin!` cannot know when it is compiled. Only inside `register`.

use crate::host::registration as host;

/// Declares what the plugin hears, while it is being loaded. `plugin!` passes it to the function of
/// its `register` item, after the registrations written in `plugin!` itself.
///
/// A handler named here must have an item in `plugin!`, if need be one without ops:
/// `query [] => answer`.
#[derive(Debug)]
pub struct Registration(());

impl Registration {
    #[doc(hidden)]
    pub fn new() -> Self {
        Self(())
    }

    pub fn query(&mut self, handler: &str, op: &str) {
        host::on_query(handler, op);
    }

    /// Every query of the host's namespace that no other registration takes.
    pub fn any_query(&mut self, handler: &str) {
        host::on_any_query(handler);
    }

    pub fn event<T: AsRef<str>>(&mut self, handler: &str, types: &[T]) {
        let types: Vec<String> = types.iter().map(|one| one.as_ref().to_owned()).collect();
        host::on_event(handler, &types);
    }

    /// Every event of the host's stream that no other registration of this plugin takes.
    pub fn any_event(&mut self, handler: &str) {
        host::on_any_event(handler);
    }

    /// A handler that [`listeners::add`](crate::listeners::add) may name.
    pub fn listener(&mut self, handler: &str) {
        host::on_listener(handler);
    }

    /// "An instance of me may serve many calls": without it each call gets a fresh one.
    pub fn reusable(&mut self) {
        host::reusable();
    }
}
