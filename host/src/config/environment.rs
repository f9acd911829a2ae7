//! The environment and the flags, put over what the file says: the environment over the file,
//! flags over both. The `NATS_…` names and the meaning of -1 are those of the old package.
//!
//! A variable that is set to nothing counts as not set: compose files make such.

use std::path::PathBuf;
use std::time::Duration;

use super::defaults;
use super::raw::{RawConfig, Text, log_format};
use crate::settings::{Mistakes, Origin, Problem, Written, pattern};

/// What the command line can say. `None`: nothing was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--plugins DIR`, or the directory that `conche dev` is given.
    pub plugins: Option<PathBuf>,
    /// `--policies DIR`
    pub policies: Option<PathBuf>,
    /// `--nats-url URL[,URL…]`
    pub nats_url: Option<String>,
    /// `--listen ADDRESS`, of the gateway.
    pub listen: Option<String>,
    /// `--health-listen ADDRESS`
    pub health_listen: Option<String>,
    /// `--cache-dir DIR`
    pub cache_dir: Option<PathBuf>,
    /// `--log-format auto|human|json`
    pub log_format: Option<String>,
    /// `--log FILTER`
    pub log: Option<String>,
}

/// Reads one variable after the other.
struct Environment<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    mistakes: &'a mut Mistakes,
}

/// Puts the environment over the file. Answers what deserves a warning.
pub(super) fn overlay(
    raw: &mut RawConfig,
    env: &dyn Fn(&str) -> Option<String>,
    mistakes: &mut Mistakes,
) -> Vec<String> {
    let mut e = Environment { env, mistakes };
    over(
        &mut raw.nats.urls,
        e.text("NATS_URL").map(|w| w.map(|urls| list(&urls))),
    );
    over(&mut raw.nats.queue_group, e.text("NATS_QUEUE_GROUP"));
    over(&mut raw.nats.client_id, e.text("NATS_CLIENT_ID"));
    over(&mut raw.events.durable, e.text("NATS_DURABLE_NAME"));
    if let Some(written) = e.text("NATS_WILDCARD_SUBJECT") {
        let mut patterns = Vec::new();
        for text in list(&written.value) {
            match pattern(&text) {
                Ok(pattern) => patterns.push(pattern),
                Err(problem) => {
                    let origin = written.origin.clone();
                    e.mistakes.add(origin, "nats.namespace", problem);
                }
            }
        }
        raw.nats.namespace = Some(Written::new(patterns, written.origin));
    }
    let attempts = e.number("NATS_MAX_RECONNECTS", "number of attempts", "6 attempts");
    over(
        &mut raw.nats.max_reconnects,
        attempts.map(|w| w.map(|n| Some(n.unwrap_or(defaults::OLD_MAX_RECONNECTS)))),
    );
    let wait = e.seconds("NATS_RECONNECT_WAIT", "10 s", defaults::RECONNECT_WAIT);
    over(&mut raw.nats.reconnect_wait, wait);
    let wait = e.seconds("NATS_REQUEST_TIMEOUT", "5 s", defaults::REQUEST_TIMEOUT);
    if wait.is_some() {
        // It is that of guests, too: what the file says of theirs alone does not go before it.
        raw.calls.request_timeout = None;
    }
    over(&mut raw.nats.request_timeout, wait);
    let wait = e.seconds("NATS_EVENTS_TIMEOUT", "10 s", defaults::PUBLISH_TIMEOUT);
    over(&mut raw.events.publish_timeout, wait);
    over(&mut raw.plugins.dir, e.text("CONCHE_PLUGINS"));
    over(&mut raw.plugins.policies, e.text("CONCHE_POLICIES"));
    over(&mut raw.health, e.text("CONCHE_HEALTH_LISTEN"));
    over(&mut raw.log.level, e.text("CONCHE_LOG"));
    if let Some(token) = e.text("CONCHE_GATEWAY_TOKEN") {
        // What the environment holds is the token itself, whatever characters it has.
        raw.gateway.token = Some(token.map(|text| text.replace("${", "$${")));
        raw.gateway.token_file = None;
    }
    e.text("NATS_CLUSTER_ID")
        .map(|w| ignored(&w.value))
        .into_iter()
        .collect()
}

/// Puts the flags over everything.
pub(super) fn overlay_flags(raw: &mut RawConfig, flags: &Flags, mistakes: &mut Mistakes) {
    let path = |flag: &'static str, path: &Option<PathBuf>| -> Text {
        let path = path.as_ref()?;
        Some(Written::new(
            path.to_string_lossy().into_owned(),
            Origin::Flag(flag),
        ))
    };
    let text = |flag: &'static str, text: &Option<String>| -> Text {
        Some(Written::new(text.clone()?, Origin::Flag(flag)))
    };
    over(&mut raw.plugins.dir, path("--plugins", &flags.plugins));
    over(
        &mut raw.plugins.policies,
        path("--policies", &flags.policies),
    );
    over(&mut raw.cache.dir, path("--cache-dir", &flags.cache_dir));
    let urls = text("--nats-url", &flags.nats_url);
    over(&mut raw.nats.urls, urls.map(|w| w.map(|urls| list(&urls))));
    over(&mut raw.gateway.listen, text("--listen", &flags.listen));
    over(
        &mut raw.health,
        text("--health-listen", &flags.health_listen),
    );
    over(&mut raw.log.level, text("--log", &flags.log));
    if let Some(written) = text("--log-format", &flags.log_format) {
        match log_format(&written.value) {
            Ok(format) => raw.log.format = Some(Written::new(format, written.origin)),
            Err(problem) => mistakes.add(written.origin, "", problem),
        }
    }
}

impl Environment<'_> {
    fn text(&self, name: &'static str) -> Text {
        let text = (self.env)(name).filter(|text| !text.trim().is_empty())?;
        Some(Written::new(text.trim().to_owned(), Origin::Env(name)))
    }

    /// A whole number; the inner `None` is -1, which asks for `minus_one`.
    fn number(
        &mut self,
        name: &'static str,
        what: &str,
        minus_one: &str,
    ) -> Option<Written<Option<u32>>> {
        let written = self.text(name)?;
        let number = match written.value.parse::<i64>() {
            Ok(-1) => Some(None),
            Ok(number) => u32::try_from(number).ok().map(Some),
            Err(_) => None,
        };
        if number.is_none() {
            let why = format!(
                "{:?} is no {what}: write a whole number, or -1 for {minus_one}",
                written.value
            );
            self.mistakes
                .add(written.origin.clone(), "", Problem::Other(why));
        }
        Some(Written::new(number?, written.origin))
    }

    fn seconds(
        &mut self,
        name: &'static str,
        shown: &str,
        minus_one: Duration,
    ) -> Option<Written<Duration>> {
        let number = self.number(name, "number of seconds", shown)?;
        Some(number.map(|n| n.map_or(minus_one, |n| Duration::from_secs(n.into()))))
    }
}

fn over<T>(below: &mut Option<T>, above: Option<T>) {
    if above.is_some() {
        *below = above;
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn ignored(cluster: &str) -> String {
    format!(
        "NATS_CLUSTER_ID={cluster} is ignored: it names a NATS Streaming cluster, and events go \
         over JetStream"
    )
}
