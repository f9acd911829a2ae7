//! What a stream of ours has to be, and whether one is so. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::config::EventsConfig;
use crate::subject::SubjectPattern;

/// Why events cannot travel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamFlaw {
    /// The server, or the account, has no JetStream.
    #[error("JetStream is off: start nats-server with -js, or enable it for the account")]
    Off,
    /// There is no stream, and none may be created.
    #[error("there is no stream `{stream}`, and create = false in [events]: {mend}")]
    Missing {
        /// The name looked for.
        stream: String,
        /// The command that makes it.
        mend: String,
    },
    /// There is one, and it is configured otherwise.
    #[error("stream `{stream}` {what}: {mend}")]
    Differs {
        /// Its name.
        stream: String,
        /// What is wrong with it.
        what: String,
        /// The command that mends it.
        mend: String,
    },
    /// It could not be created, such as for subjects that another stream takes.
    #[error("cannot create stream `{stream}`: {reason}")]
    NotCreated {
        /// Its name.
        stream: String,
        /// JetStream's text.
        reason: String,
    },
    /// The server did not say.
    #[error("cannot look at stream `{stream}`: {reason}")]
    Unknown {
        /// Its name.
        stream: String,
        /// The client's text.
        reason: String,
    },
}

/// What of a stream's configuration can be wrong for us.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamConfig {
    pub(crate) name: String,
    pub(crate) subjects: Vec<String>,
    retention: String,
    discard: String,
    no_ack: bool,
    sealed: bool,
    /// Headers and body, in bytes; none if it is not above 0.
    max_msg_size: i64,
}

/// What a stream of ours has to be.
pub(super) struct Wanted<'a> {
    pub(super) name: String,
    pub(super) subjects: Vec<String>,
    /// Refuses what is new when it is full, rather than drop what is old.
    discards_new: bool,
    pub(super) events: &'a EventsConfig,
}

/// What is wrong with those of these streams that are for events and for dead letters, and what
/// keeps a missing one from being created.
#[cfg(feature = "host")]
pub(crate) fn flaws(events: &EventsConfig, found: &[StreamConfig]) -> Vec<StreamFlaw> {
    let flaw = |wanted: &Wanted<'_>| match found.iter().find(|it| it.name == wanted.name) {
        Some(stream) => wanted.check(stream).err(),
        None => wanted.check_missing(found).err(),
    };
    Wanted::both(events).iter().filter_map(flaw).collect()
}

/// Those of the stream of events and that of dead letters that take less than the server: no reason
/// not to serve.
#[cfg(feature = "host")]
pub(crate) fn narrow(
    events: &EventsConfig,
    found: &[StreamConfig],
    max_payload: usize,
) -> Vec<StreamFlaw> {
    let flaw = |wanted: &Wanted<'_>| {
        let stream = found.iter().find(|it| it.name == wanted.name)?;
        let most = stream.narrower_than(max_payload)?;
        let meant = if wanted.discards_new {
            "no larger dead letter is stored in one piece"
        } else {
            "no larger event is stored"
        };
        Some(StreamFlaw::Differs {
            what: format!("takes {most} bytes in a message, the server {max_payload}: {meant}"),
            mend: format!("nats stream edit {} --max-msg-size=-1", wanted.name),
            stream: wanted.name.clone(),
        })
    };
    Wanted::both(events).iter().filter_map(flaw).collect()
}

impl<'a> Wanted<'a> {
    /// The stream of events, and that of dead letters.
    pub(super) fn both(events: &'a EventsConfig) -> [Wanted<'a>; 2] {
        let event_stream = Wanted {
            name: events.stream.clone(),
            subjects: events.subjects.iter().map(ToString::to_string).collect(),
            discards_new: false,
            events,
        };
        let dead_letters = Wanted {
            name: events.dead_letter_stream(),
            subjects: events.dead_letter_subjects().to_vec(),
            discards_new: true,
            events,
        };
        [event_stream, dead_letters]
    }

    pub(super) fn missing(&self) -> StreamFlaw {
        let (stream, subjects) = (self.name.clone(), self.subjects.join(","));
        let discard = if self.discards_new {
            " --discard new"
        } else {
            ""
        };
        StreamFlaw::Missing {
            mend: format!("nats stream add {stream} --subjects \"{subjects}\"{discard}"),
            stream,
        }
    }

    #[cfg(feature = "host")]
    fn check_missing(&self, others: &[StreamConfig]) -> Result<(), StreamFlaw> {
        let stream = self.name.clone();
        if !self.events.create {
            return Err(self.missing());
        }
        let taken = self.subjects.iter().find_map(|subject| {
            let other = others.iter().find(|other| other.overlaps(subject))?;
            Some((subject, &other.name))
        });
        match taken {
            Some((subject, other)) => Err(StreamFlaw::NotCreated {
                stream,
                reason: format!("stream `{other}` takes subjects of {subject}"),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn to_create(&self) -> Value {
        let nanos =
            |duration: std::time::Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let max_bytes = self
            .events
            .max_bytes
            .map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        // Dead letters wait for a person, however long that takes.
        let max_age = self.events.max_age.filter(|_| !self.discards_new);
        json!({
            "name": self.name,
            "subjects": self.subjects,
            "retention": "limits",
            "storage": "file",
            "num_replicas": self.events.replicas,
            "max_consumers": -1,
            "max_msgs": -1,
            "max_msgs_per_subject": -1,
            "max_bytes": max_bytes,
            "max_age": max_age.map_or(0, nanos),
            "discard": if self.discards_new { "new" } else { "old" },
            "duplicate_window": nanos(self.events.duplicate_window),
        })
    }

    pub(super) fn check(&self, found: &StreamConfig) -> Result<(), StreamFlaw> {
        let differs = |what: String, mend: String| {
            Err(StreamFlaw::Differs {
                stream: self.name.clone(),
                what,
                mend,
            })
        };
        let edit = format!("nats stream edit {}", self.name);
        let missing: Vec<_> = self
            .subjects
            .iter()
            .filter(|subject| !found.takes(subject))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let mut all: Vec<&str> = found.subjects.iter().map(String::as_str).collect();
            all.extend(&missing);
            return differs(
                format!("does not take {}", missing.join(", ")),
                format!("{edit} --subjects \"{}\"", all.join(",")),
            );
        }
        if found.retention == "workqueue" || found.retention == "interest" {
            // Retention can't be edited on a server.
            return differs(
                format!(
                    "has retention {}: plugins would take events from each other",
                    found.retention
                ),
                "name another stream in [events], or make it anew with --retention limits"
                    .to_owned(),
            );
        }
        if self.discards_new && found.discard != "new" {
            return differs(
                "would drop dead letters when it is full".to_owned(),
                format!("{edit} --discard new"),
            );
        }
        if found.no_ack {
            return differs(
                "acknowledges no publishes".to_owned(),
                format!("{edit} --ack"),
            );
        }
        if found.sealed {
            return differs(
                "is sealed".to_owned(),
                "name another stream in [events]".to_owned(),
            );
        }
        Ok(())
    }
}

impl StreamConfig {
    /// Whether it takes some subject of a pattern.
    #[cfg(feature = "host")]
    pub(crate) fn overlaps(&self, pattern: &str) -> bool {
        let pattern = pattern.parse::<SubjectPattern>();
        pattern.is_ok_and(|pattern| self.patterns().any(|subject| subject.overlaps(&pattern)))
    }

    /// What it takes in a message, in bytes, if that is less.
    pub(super) fn narrower_than(&self, max_payload: usize) -> Option<usize> {
        let most = usize::try_from(self.max_msg_size).ok();
        most.filter(|most| (1..max_payload).contains(most))
    }

    fn takes(&self, wanted: &str) -> bool {
        let wanted = wanted.parse::<SubjectPattern>();
        wanted.is_ok_and(|wanted| self.patterns().any(|subject| subject.covers(&wanted)))
    }

    /// Its subjects, without those that are none by our rules.
    pub(super) fn patterns(&self) -> impl Iterator<Item = SubjectPattern> {
        let subjects = self.subjects.iter();
        subjects.filter_map(|subject| subject.parse().ok())
    }
}
