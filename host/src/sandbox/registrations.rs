//! What one `register` declared, collected and checked in itself. Whether it is granted, and
//! whether another plugin has it already, is for the reload to say.

use std::sync::Arc;

use crate::subject::MAX_SUBJECT_BYTES;
use crate::text::cut;

/// What a plugin's `register` declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registrations {
    /// Handler and op, in the order declared; no op twice.
    pub queries: Vec<(Arc<str>, String)>,
    /// The handler of the default-query registration.
    pub any_query: Option<Arc<str>>,
    /// Handler and event type; no type twice.
    pub events: Vec<(Arc<str>, String)>,
    /// The handler of the default-event registration.
    pub any_event: Option<Arc<str>>,
    /// Handlers that `listeners.add` may name.
    pub listeners: Vec<Arc<str>>,
    /// The guest said that an instance may serve many calls.
    pub reusable: bool,
}

/// A `register` under way.
pub(super) struct Registering {
    found: Registrations,
    /// How many declarations the policy allows.
    limit: u32,
    /// The first thing that was wrong, if anything was.
    flaw: Option<String>,
}

impl Registrations {
    /// Who answers a query: who registered the op, else the default.
    pub fn query_handler(&self, op: &str) -> Option<&Arc<str>> {
        self.named_query(op).or(self.any_query.as_ref())
    }

    /// Who gets an event: who registered the type, else the default.
    pub fn event_handler(&self, ty: &str) -> Option<&Arc<str>> {
        self.named_event(ty).or(self.any_event.as_ref())
    }

    /// Who registered the op.
    pub fn named_query(&self, op: &str) -> Option<&Arc<str>> {
        named(&self.queries, op)
    }

    /// Who registered the type.
    pub fn named_event(&self, ty: &str) -> Option<&Arc<str>> {
        named(&self.events, ty)
    }

    /// How many declarations there are.
    pub fn count(&self) -> usize {
        self.queries.len()
            + self.events.len()
            + self.listeners.len()
            + usize::from(self.any_query.is_some())
            + usize::from(self.any_event.is_some())
    }
}

impl Registering {
    pub(super) fn new(limit: u32) -> Registering {
        Registering {
            found: Registrations::default(),
            limit,
            flaw: None,
        }
    }

    /// What was declared, or the first thing that was wrong.
    pub(super) fn finish(self) -> Result<Registrations, String> {
        match self.flaw {
            Some(flaw) => Err(flaw),
            None => Ok(self.found),
        }
    }

    pub(super) fn reusable(&mut self) {
        self.found.reusable = true;
    }

    /// An error once there are more than the policy allows: the guest is stopped then.
    pub(super) fn room(&self) -> Result<(), String> {
        if self.found.count() < self.limit as usize {
            return Ok(());
        }
        Err(format!(
            "registered more than {} handlers: raise registrations in [limits], or register a default",
            self.limit
        ))
    }

    pub(super) fn query(&mut self, handler: String, op: String) {
        if self.too_long(&handler) || self.too_long(&op) {
            return;
        }
        if self.found.queries.iter().any(|(_, taken)| *taken == op) {
            return self.flaw(format!("query `{op}` is registered twice"));
        }
        self.found.queries.push((handler.into(), op));
    }

    pub(super) fn any_query(&mut self, handler: String) {
        if self.too_long(&handler) {
            return;
        }
        if self.found.any_query.is_some() {
            return self.flaw("the default query is registered twice".into());
        }
        self.found.any_query = Some(handler.into());
    }

    pub(super) fn event(&mut self, handler: &Arc<str>, ty: String) {
        if self.too_long(handler) || self.too_long(&ty) {
            return;
        }
        if self.found.events.iter().any(|(_, taken)| *taken == ty) {
            return self.flaw(format!("event type `{ty}` is registered twice"));
        }
        self.found.events.push((handler.clone(), ty));
    }

    pub(super) fn any_event(&mut self, handler: String) {
        if self.too_long(&handler) {
            return;
        }
        if self.found.any_event.is_some() {
            return self.flaw("the default event is registered twice".into());
        }
        self.found.any_event = Some(handler.into());
    }

    pub(super) fn listener(&mut self, handler: String) {
        if self.too_long(&handler) {
            return;
        }
        if self.found.listeners.iter().any(|taken| **taken == *handler) {
            return self.flaw(format!("listener `{handler}` is registered twice"));
        }
        self.found.listeners.push(handler.into());
    }

    /// Names are kept as long as the version is.
    fn too_long(&mut self, name: &str) -> bool {
        let is_too_long = name.len() > MAX_SUBJECT_BYTES;
        if is_too_long {
            let (begin, bytes) = (cut(name, 32), name.len());
            self.flaw(format!(
                "the name `{begin}` has {bytes} bytes, more than {MAX_SUBJECT_BYTES}"
            ));
        }
        is_too_long
    }

    fn flaw(&mut self, text: String) {
        self.flaw.get_or_insert(text);
    }
}

fn named<'a>(list: &'a [(Arc<str>, String)], name: &str) -> Option<&'a Arc<str>> {
    let found = list.iter().find(|(_, named)| named == name);
    found.map(|(handler, _)| handler)
}
