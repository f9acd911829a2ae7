//! `[events]` and `[compat]`: the stream, and where old services may differ.

use std::time::Duration;

use super::{Resolver, show_patterns};
use crate::config::raw::{RawCompat, RawEvents};
use crate::config::{CompatConfig, ErrorAnswers, EventSubject, EventsConfig, checks, defaults};
use crate::settings::{ByteSize, Written, format_duration};
use crate::subject::{SubjectPattern, check_literal};

/// The server refuses shorter ones.
const ACK_WAIT_LEAST: Duration = Duration::from_secs(1);
const DUPLICATE_WINDOW_LEAST: Duration = Duration::from_millis(100);

impl Resolver<'_> {
    pub(super) fn events(&mut self, raw: RawEvents, namespace: &[SubjectPattern]) -> EventsConfig {
        let unlimited = || "unlimited".to_owned();
        let stream = defaults::STREAM.to_owned();
        let stream = self.checked("events.stream", raw.stream, stream, String::clone, |text| {
            checks::name("stream name", text, checks::in_stream_name)
        });
        let subjects = defaults::EVENT_SUBJECTS.parse().into_iter().collect();
        let subjects = self.take("events.subjects", raw.subjects, subjects, |s| {
            show_patterns(s)
        });
        self.check_subjects(&subjects, namespace);
        let durable = defaults::DURABLE.to_owned();
        let durable = self.checked(
            "events.durable",
            raw.durable,
            durable,
            String::clone,
            |text| checks::name("durable name", text, checks::in_durable),
        );
        let replicas = self.count("events.replicas", raw.replicas, defaults::REPLICAS.into());
        let events = EventsConfig {
            stream,
            subjects,
            durable,
            create: self.take("events.create", raw.create, true, bool::to_string),
            replicas: u8::try_from(replicas).unwrap_or(defaults::REPLICAS),
            max_age: self.take(
                "events.max_age",
                raw.max_age,
                Some(defaults::MAX_AGE),
                |age| age.map_or_else(unlimited, format_duration),
            ),
            max_bytes: self.take("events.max_bytes", raw.max_bytes, None, |bytes| {
                bytes.map_or_else(unlimited, |n| ByteSize(n).to_string())
            }),
            duplicate_window: self.wait(
                "events.duplicate_window",
                raw.duplicate_window,
                defaults::DUPLICATE_WINDOW,
            ),
            ack_wait: self.wait("events.ack_wait", raw.ack_wait, defaults::ACK_WAIT),
            publish_timeout: self.wait(
                "events.publish_timeout",
                raw.publish_timeout,
                defaults::PUBLISH_TIMEOUT,
            ),
        };
        self.check_times(&events);
        events
    }

    /// A stream that took a query's subject would answer its asker with a publish ack.
    fn check_subjects(&mut self, subjects: &[SubjectPattern], namespace: &[SubjectPattern]) {
        if subjects.is_empty() && !self.is_mistaken("events.subjects") {
            let why = "is empty: name what the stream takes, such as \"org.cyverse.events.>\"";
            self.mistake("events.subjects", why.to_owned());
        }
        for (i, subject) in subjects.iter().enumerate() {
            if let Some(other) = subjects[..i].iter().find(|other| other.overlaps(subject)) {
                let why = format!("\"{other}\" and \"{subject}\" overlap: a server refuses that");
                self.mistake("events.subjects", why);
            }
            if let Some(query) = namespace.iter().find(|query| query.overlaps(subject)) {
                let from = self.origins.get("nats.namespace").map(ToString::to_string);
                let why = format!(
                    "\"{subject}\" overlaps \"{query}\" of nats.namespace ({}): the stream would \
                     answer queries; narrow one of them",
                    from.unwrap_or_default()
                );
                self.clash("events.subjects", "nats.namespace", why);
            }
        }
    }

    fn check_times(&mut self, events: &EventsConfig) {
        for (key, time, least) in [
            ("events.ack_wait", events.ack_wait, ACK_WAIT_LEAST),
            (
                "events.duplicate_window",
                events.duplicate_window,
                DUPLICATE_WINDOW_LEAST,
            ),
        ] {
            if !time.is_zero() && time < least {
                let (time, least) = (format_duration(time), format_duration(least));
                self.mistake(key, format!("{time} is out of range: at least {least}"));
            }
        }
        match events.max_age {
            Some(age) if age.is_zero() => {
                self.mistake(
                    "events.max_age",
                    "0s keeps nothing: write \"unlimited\"".to_owned(),
                );
            }
            // The server refuses it, with a number for a reason.
            Some(age) if age < events.duplicate_window => {
                let (age, window) = (
                    format_duration(age),
                    format_duration(events.duplicate_window),
                );
                let why = format!("{age} is below events.duplicate_window, {window}: lower that");
                self.clash("events.max_age", "events.duplicate_window", why);
            }
            _ => {}
        }
    }

    pub(super) fn compat(&mut self, raw: RawCompat, events: &EventsConfig) -> CompatConfig {
        CompatConfig {
            transaction_attribute: self.checked(
                "compat.transaction_attribute",
                raw.transaction_attribute,
                defaults::TRANSACTION_ATTRIBUTE.to_owned(),
                String::clone,
                checks::attribute,
            ),
            errors: self.take(
                "compat.errors",
                raw.errors,
                ErrorAnswers::Faults,
                |errors| match errors {
                    ErrorAnswers::Faults => "faults".to_owned(),
                    ErrorAnswers::Silent => "silent".to_owned(),
                },
            ),
            event_subject: self.event_subject(raw.event_subject, &events.subjects),
        }
    }

    /// `type`, or literal subjects that the stream takes.
    fn event_subject(
        &mut self,
        written: Option<Written<Vec<String>>>,
        subjects: &[SubjectPattern],
    ) -> EventSubject {
        let key = "compat.event_subject";
        let written = written.map(|w| {
            w.map(|texts| match texts.as_slice() {
                [text] if text == "type" => EventSubject::Type,
                _ => EventSubject::Fixed(texts),
            })
        });
        let chosen = self.take(key, written, EventSubject::Type, |subject| match subject {
            EventSubject::Type => "type".to_owned(),
            EventSubject::Fixed(subjects) => subjects.join(","),
        });
        if let EventSubject::Fixed(fixed) = &chosen {
            if fixed.is_empty() {
                let why = "is empty: write \"type\", or the subjects that events travel on";
                self.mistake(key, why.to_owned());
            }
            // One of those that could not be taken may be the one that takes it.
            let subjects = (!self.is_mistaken("events.subjects")).then_some(subjects);
            for (i, subject) in fixed.iter().enumerate() {
                if let Err(why) = fixed_subject(subject, &fixed[..i], subjects) {
                    self.mistake(key, why);
                }
            }
        }
        chosen
    }
}

/// `subjects` are those that the stream takes, if all of them are known.
fn fixed_subject(
    text: &str,
    before: &[String],
    subjects: Option<&[SubjectPattern]>,
) -> Result<(), String> {
    if text == "type" {
        return Err("\"type\" stands by itself: write it without other subjects".to_owned());
    }
    if before.iter().any(|other| other == text) {
        return Err(format!("{text:?} is there twice"));
    }
    check_literal(text).map_err(|e| e.to_string())?;
    match subjects {
        Some(subjects) if !subjects.iter().any(|pattern| pattern.matches(text)) => Err(format!(
            "{text:?} is taken by none of events.subjects, {}: add it there, or write \"type\"",
            show_patterns(subjects)
        )),
        _ => Ok(()),
    }
}
