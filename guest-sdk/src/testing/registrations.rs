//! What a plugin declared when it was registered, with the checks that a host makes in it alone. Must
//! not know what it is used for.

/// What `register` declared, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registrations {
    /// Handler and op.
    pub queries: Vec<(String, String)>,
    /// The handler of all other queries.
    pub any_query: Option<String>,
    /// Handler and event type.
    pub events: Vec<(String, String)>,
    /// The handler of all other events.
    pub any_event: Option<String>,
    /// Handlers that `listeners::add` may name.
    pub listeners: Vec<String>,
    /// Whether one instance may serve many calls.
    pub reusable: bool,
    /// The first thing that was wrong: a host refuses the plugin for it.
    pub(super) flaw: Option<String>,
}

impl Registrations {
    /// The handler of a query op.
    pub fn query(&self, op: &str) -> Option<&str> {
        named(&self.queries, op).or(self.any_query.as_deref())
    }

    /// The handler of an event type.
    pub fn event(&self, type_: &str) -> Option<&str> {
        named(&self.events, type_).or(self.any_event.as_deref())
    }

    pub(super) fn on_query(&mut self, handler: &str, op: &str) {
        if named(&self.queries, op).is_some() {
            return self.flaw(format!("query `{op}` is registered twice"));
        }
        self.queries.push((handler.to_owned(), op.to_owned()));
    }

    pub(super) fn on_any_query(&mut self, handler: &str) {
        if self.any_query.is_some() {
            return self.flaw("the default query is registered twice".to_owned());
        }
        self.any_query = Some(handler.to_owned());
    }

    pub(super) fn on_event(&mut self, handler: &str, types: &[String]) {
        for type_ in types {
            if named(&self.events, type_).is_some() {
                self.flaw(format!("event type `{type_}` is registered twice"));
            } else {
                self.events.push((handler.to_owned(), type_.clone()));
            }
        }
    }

    pub(super) fn on_any_event(&mut self, handler: &str) {
        if self.any_event.is_some() {
            return self.flaw("the default event is registered twice".to_owned());
        }
        self.any_event = Some(handler.to_owned());
    }

    pub(super) fn on_listener(&mut self, handler: &str) {
        if self.listeners.iter().any(|taken| taken == handler) {
            return self.flaw(format!("listener `{handler}` is registered twice"));
        }
        self.listeners.push(handler.to_owned());
    }

    fn flaw(&mut self, text: String) {
        self.flaw.get_or_insert(text);
    }
}

fn named<'a>(list: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    list.iter()
        .find_map(|(handler, name)| (name == wanted).then_some(handler.as_str()))
}
