//! What a plugin may listen to and send, and the refusal that names the line to add.

use std::fmt;

use crate::subject::{SubjectPattern, is_reserved};

/// `[grants]`: subject patterns, matched against query ops and event types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// Ops that `register` may claim.
    pub query: Vec<SubjectPattern>,
    /// Event types that `register` may claim.
    pub event: Vec<SubjectPattern>,
    /// Event types that may be emitted.
    pub emit: Vec<SubjectPattern>,
    /// Ops that may be asked.
    pub request: Vec<SubjectPattern>,
    /// Event types that may be published to wait for an answer.
    pub exchange: Vec<SubjectPattern>,
    /// Event types that a dynamic listener may wait for.
    pub listen: Vec<SubjectPattern>,
    /// Whether a default-query registration is taken.
    pub any_query: bool,
    /// Whether an any-event registration is taken.
    pub any_event: bool,
    /// Named in refusals: where the missing line belongs.
    pub policy_file: String,
}

/// One list of `[grants]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    Query,
    Event,
    Emit,
    Request,
    Exchange,
    Listen,
}

/// What a plugin asked for and may not have. The text is what the guest gets to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No pattern of the list matches.
    #[error("not granted: {}", line_to_add(subject, *grant, policy_file))]
    NotGranted {
        /// The op or type asked for.
        subject: String,
        /// The list it would have to be in.
        grant: Grant,
        /// The plugin's policy file.
        policy_file: String,
    },
    /// A default registration, and its switch is off.
    #[error("not granted: {}", switch_to_set(key, policy_file))]
    NotSwitchedOn {
        /// `any-query` or `any-event`.
        key: &'static str,
        /// The plugin's policy file.
        policy_file: String,
    },
    /// Nobody can be granted this.
    #[error("{subject:?} is reserved: no plugin gets what begins with `$`, `_INBOX.` or `conche.`")]
    Reserved {
        /// The op or type asked for.
        subject: String,
    },
}

impl Grants {
    /// Everything, except what is reserved.
    pub fn everything(policy_file: impl Into<String>) -> Grants {
        let all = || ">".parse().into_iter().collect::<Vec<SubjectPattern>>();
        Grants {
            query: all(),
            event: all(),
            emit: all(),
            request: all(),
            exchange: all(),
            listen: all(),
            any_query: true,
            any_event: true,
            policy_file: policy_file.into(),
        }
    }

    /// Whether `register` may claim this op.
    ///
    /// # Errors
    /// The refusal to show; so for every method here.
    pub fn allows_query(&self, op: &str) -> Result<(), Refusal> {
        self.allows(Grant::Query, op)
    }

    /// Whether `register` may claim this event type.
    pub fn allows_event(&self, ty: &str) -> Result<(), Refusal> {
        self.allows(Grant::Event, ty)
    }

    /// Whether an event of this type may be emitted.
    pub fn allows_emit(&self, ty: &str) -> Result<(), Refusal> {
        self.allows(Grant::Emit, ty)
    }

    /// Whether this op may be asked.
    pub fn allows_request(&self, op: &str) -> Result<(), Refusal> {
        self.allows(Grant::Request, op)
    }

    /// Whether an event of this type may be published to wait for an answer.
    pub fn allows_exchange(&self, ty: &str) -> Result<(), Refusal> {
        self.allows(Grant::Exchange, ty)
    }

    /// Whether a dynamic listener may wait for this event type.
    pub fn allows_listen(&self, ty: &str) -> Result<(), Refusal> {
        self.allows(Grant::Listen, ty)
    }

    /// Whether a listener for a transaction may wait for events of any type: it hears those that
    /// the list has, so there must be some.
    pub fn allows_listening(&self) -> Result<(), Refusal> {
        if self.listen.is_empty() {
            return self.allows(Grant::Listen, ">");
        }
        Ok(())
    }

    /// Whether a default-query registration is taken.
    pub fn allows_any_query(&self) -> Result<(), Refusal> {
        self.switched_on(self.any_query, "any-query")
    }

    /// Whether an any-event registration is taken.
    pub fn allows_any_event(&self) -> Result<(), Refusal> {
        self.switched_on(self.any_event, "any-event")
    }

    /// One list, or the other.
    pub fn list(&self, grant: Grant) -> &[SubjectPattern] {
        match grant {
            Grant::Query => &self.query,
            Grant::Event => &self.event,
            Grant::Emit => &self.emit,
            Grant::Request => &self.request,
            Grant::Exchange => &self.exchange,
            Grant::Listen => &self.listen,
        }
    }

    /// Whether a list has this op or type.
    pub fn allows(&self, grant: Grant, subject: &str) -> Result<(), Refusal> {
        if is_reserved(subject) {
            return Err(Refusal::Reserved {
                subject: subject.to_owned(),
            });
        }
        // `>` alone is meant to grant everything, types that are no legal subject included.
        let granted = |p: &SubjectPattern| p.as_str() == ">" || p.matches(subject);
        if self.list(grant).iter().any(granted) {
            return Ok(());
        }
        let policy_file = self.policy_file.clone();
        Err(Refusal::NotGranted {
            subject: subject.to_owned(),
            grant,
            policy_file,
        })
    }

    fn switched_on(&self, on: bool, key: &'static str) -> Result<(), Refusal> {
        let policy_file = || self.policy_file.clone();
        if on {
            Ok(())
        } else {
            Err(Refusal::NotSwitchedOn {
                key,
                policy_file: policy_file(),
            })
        }
    }
}

impl Refusal {
    /// What to do in the policy; nothing there grants what is reserved.
    pub fn line(&self) -> Option<String> {
        match self {
            Refusal::NotGranted {
                subject,
                grant,
                policy_file,
            } => Some(line_to_add(subject, *grant, policy_file)),
            Refusal::NotSwitchedOn { key, policy_file } => Some(switch_to_set(key, policy_file)),
            Refusal::Reserved { .. } => None,
        }
    }
}

fn line_to_add(subject: &str, grant: Grant, policy_file: &str) -> String {
    format!("add {subject:?} to {grant} in [grants] of {policy_file}")
}

fn switch_to_set(key: &str, policy_file: &str) -> String {
    format!("set {key} = true in [grants] of {policy_file}")
}

impl Grant {
    /// All lists, in the order of the file.
    pub const ALL: [Grant; 6] = [
        Grant::Query,
        Grant::Event,
        Grant::Emit,
        Grant::Request,
        Grant::Exchange,
        Grant::Listen,
    ];

    /// The key of the list.
    pub fn key(self) -> &'static str {
        match self {
            Grant::Query => "query",
            Grant::Event => "event",
            Grant::Emit => "emit",
            Grant::Request => "request",
            Grant::Exchange => "exchange",
            Grant::Listen => "listen",
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> Grants {
        Grants {
            query: vec!["cyverse.users.*".parse().unwrap()],
            event: vec!["org.cyverse.events.>".parse().unwrap()],
            emit: vec![],
            request: vec![],
            exchange: vec![],
            listen: vec![],
            any_query: false,
            any_event: false,
            policy_file: "users.toml".to_owned(),
        }
    }

    fn check(found: Result<(), Refusal>, expected: &str) {
        assert_eq!(
            found.err().map(|e| e.to_string()).unwrap_or_default(),
            expected
        );
    }

    #[test]
    fn granted_is_quiet_and_a_refusal_names_the_line() {
        let g = grants();
        check(g.allows_query("cyverse.users.Get"), "");
        check(
            g.allows_query("cyverse.users.deep.Get"),
            r#"not granted: add "cyverse.users.deep.Get" to query in [grants] of users.toml"#,
        );
        check(g.allows_event("org.cyverse.events.UserCreated"), "");
        check(
            g.allows_emit("org.cyverse.events.UserCreated"),
            r#"not granted: add "org.cyverse.events.UserCreated" to emit in [grants] of users.toml"#,
        );
        check(
            g.allows_request("a.b"),
            r#"not granted: add "a.b" to request in [grants] of users.toml"#,
        );
        check(
            g.allows_exchange("a.b"),
            r#"not granted: add "a.b" to exchange in [grants] of users.toml"#,
        );
        check(
            g.allows_listen("a.b"),
            r#"not granted: add "a.b" to listen in [grants] of users.toml"#,
        );
        check(
            g.allows_any_query(),
            "not granted: set any-query = true in [grants] of users.toml",
        );
        check(
            g.allows_any_event(),
            "not granted: set any-event = true in [grants] of users.toml",
        );
    }

    #[test]
    fn everything_is_all_but_the_reserved() {
        let g = Grants::everything("users.toml");
        check(g.allows_emit("any thing.. at all"), "");
        check(g.allows_any_query(), "");
        check(
            g.allows_request("$JS.API.INFO"),
            r#""$JS.API.INFO" is reserved: no plugin gets what begins with `$`, `_INBOX.` or `conche.`"#,
        );
    }
}
