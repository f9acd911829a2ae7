//! [`RawConfig`] → [`Config`]: defaults, checks of each value, and the note where it came from.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::environment::{Flags, overlay, overlay_flags};
use super::raw::{Number, RawConfig, Text, Time};
use super::{Config, Explained, Mode, checks, defaults};
use crate::settings::{
    ByteSize, Lookups, Mistakes, Origin, Problem, Secret, Written, expand, format_duration,
};
use crate::subject::SubjectPattern;

mod events;
mod host;
mod nats;

/// Everything that a configuration is made from.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    pub mode: Mode,
    pub flags: &'a Flags,
    /// Path and text of `conche.toml`, if there is one.
    pub file: Option<(&'a str, &'a str)>,
    /// The environment, and files with secrets.
    pub lookups: Lookups<'a>,
    pub machine: &'a Machine,
}

/// What the machine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub host_name: String,
    pub cpus: u32,
    /// Relative paths of flags and environment begin here; those of a file where the file is.
    pub current_dir: PathBuf,
    pub temp_dir: PathBuf,
    pub user_id: u32,
}

/// What is known while resolving.
struct Resolver<'a> {
    mode: Mode,
    lookups: Lookups<'a>,
    machine: &'a Machine,
    /// Where `conche.toml` is.
    file_dir: PathBuf,
    mistakes: Mistakes,
    explained: Vec<Explained>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Config {
    /// Resolves flags over environment over file over defaults, and checks it all. Nothing is
    /// bound, connected or created; files are read only for `${file:…}` and `token_file`, and to see
    /// that those are there that a connection will need.
    ///
    /// # Errors
    /// Every mistake there is, each with its place and what to do about it.
    pub fn resolve(inputs: Inputs<'_>) -> Result<Config, Mistakes> {
        let (file, text) = inputs.file.unwrap_or(("conche.toml", ""));
        let read = RawConfig::parse(file, text);
        let is_toml = read.is_ok();
        let (mut raw, mut mistakes) = read.unwrap_or_else(|m| (RawConfig::default(), m));
        let warnings = overlay(&mut raw, inputs.lookups.env, &mut mistakes);
        overlay_flags(&mut raw, inputs.flags, &mut mistakes);
        if !is_toml {
            // One setting against another can't be checked while half of them is missing.
            return Err(mistakes);
        }
        let file_dir = Path::new(file).parent().unwrap_or(Path::new(""));
        let mut r = Resolver {
            mode: inputs.mode,
            lookups: inputs.lookups,
            machine: inputs.machine,
            file_dir: tidied(&inputs.machine.current_dir.join(file_dir)),
            mistakes,
            explained: Vec::new(),
            origins: BTreeMap::new(),
        };
        let client_id = r.client_id(raw.nats.client_id.take());
        let source = r.source(raw.source, &client_id);
        let nats = r.nats(raw.nats);
        let events = r.events(raw.events, &nats.namespace);
        let calls = r.calls(raw.calls, nats.request_timeout);
        let plugins = r.plugins(
            raw.plugins,
            &calls,
            (&nats.namespace, &events.subjects),
            file,
        );
        let gateway = r.gateway(raw.gateway);
        let config = Config {
            mode: inputs.mode,
            client_id,
            cache: r.cache(raw.cache, &plugins),
            health: r.health(raw.health, gateway.listen),
            gateway,
            shutdown: r.shutdown(raw.drain),
            log: r.log(raw.log),
            compat: r.compat(raw.compat, &events),
            nats,
            events,
            calls,
            plugins,
            warnings,
            source,
            explained: r.explained,
        };
        r.mistakes.finish(config)
    }
}

impl Resolver<'_> {
    /// The value that was written, or the default; notes which, shown by `show`.
    fn take<T>(
        &mut self,
        key: &'static str,
        written: Option<Written<T>>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        let Written { value, origin } = written.unwrap_or(Written::new(default, Origin::Default));
        self.explain(key, show(&value), &origin);
        self.origins.insert(key, origin);
        value
    }

    fn explain(&mut self, key: &str, value: String, origin: &Origin) {
        let origin = origin.to_string();
        self.explained.push(Explained {
            key: key.to_owned(),
            value,
            origin,
        });
    }

    fn text(&mut self, key: &'static str, written: Text, default: &str) -> String {
        self.take(key, written, default.to_owned(), String::clone)
    }

    /// A wait: zero would mean "never wait", which nobody wants of a time-out.
    fn wait(&mut self, key: &'static str, written: Time, default: Duration) -> Duration {
        let value = self.take(key, written, default, |d| format_duration(*d));
        if value.is_zero() {
            self.mistake(key, "0s is no time to wait: write a longer one".to_owned());
        }
        value
    }

    fn size(&mut self, key: &'static str, written: Number, default: u64) -> u64 {
        self.take(key, written, default, |n| ByteSize(*n).to_string())
    }

    fn count(&mut self, key: &'static str, written: Number, default: u32) -> u32 {
        let value = self.take(key, written, default.into(), u64::to_string);
        u32::try_from(value).unwrap_or(u32::MAX)
    }

    /// A value that `check` understands; the default stands in for one that it refuses.
    fn checked<T>(
        &mut self,
        key: &'static str,
        written: Text,
        default: T,
        show: impl Fn(&T) -> String,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(Written { value, origin }) = written else {
            return self.take(key, None, default, show);
        };
        match check(&value) {
            Ok(value) => self.take(key, Some(Written::new(value, origin)), default, show),
            Err(why) => {
                self.mistakes.add(origin, key, Problem::Other(why));
                default
            }
        }
    }

    /// An absolute path without `.` and `..`.
    fn path(&mut self, key: &'static str, written: Text, default: &Path) -> PathBuf {
        let machine = self.machine;
        let written = written.map(|w| Written::new(self.absolute(&w), w.origin));
        let default = tidied(&machine.current_dir.join(default));
        self.take(key, written, default, |p| p.display().to_string())
    }

    fn path_if_any(&mut self, key: &'static str, written: Text) -> Option<PathBuf> {
        let written = written?;
        Some(self.path(key, Some(written), Path::new("")))
    }

    fn absolute(&self, written: &Written<String>) -> PathBuf {
        tidied(&self.base(&written.origin).join(&written.value))
    }

    /// Where relative paths begin.
    fn base(&self, origin: &Origin) -> &Path {
        match origin {
            Origin::File { .. } => &self.file_dir,
            _ => &self.machine.current_dir,
        }
    }

    /// A secret, its `${…}` looked up; never shown.
    fn secret(&mut self, key: &'static str, written: Text) -> Option<Secret> {
        let Written { value, origin } = written?;
        let base = self.base(&origin);
        match expand(&value, base, self.lookups, |_| Ok(())) {
            Ok(text) if text.trim().is_empty() => {
                self.mistakes
                    .add(origin, key, Problem::Other("is empty".to_owned()));
                None
            }
            Ok(text) => {
                let written = Some(Written::new(Secret::new(text), origin));
                Some(self.take(key, written, Secret::new(""), |_| "(secret)".to_owned()))
            }
            Err(problem) => {
                self.mistakes.add(origin, key, problem);
                None
            }
        }
    }

    /// A mistake in a value that was taken.
    fn mistake(&mut self, key: &'static str, why: String) {
        let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
        self.mistakes.add(origin, key, Problem::Other(why));
    }

    /// A mistake in a value as it stands to another one: none that anybody made if a default stands in
    /// for one of them, which could not be taken.
    fn clash(&mut self, key: &'static str, other: &str, why: String) {
        if !self.stands_in(key) && !self.stands_in(other) {
            self.mistake(key, why);
        }
    }

    fn stands_in(&self, key: &str) -> bool {
        let is_default = |origin: &Origin| *origin == Origin::Default;
        self.is_mistaken(key) && self.origins.get(key).is_none_or(is_default)
    }

    /// Whether it, or a part of it, could not be taken.
    fn is_mistaken(&self, key: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.key == key)
    }

    fn client_id(&mut self, written: Text) -> String {
        let host_name = self.machine.host_name.clone();
        self.checked(
            "nats.client_id",
            written,
            host_name,
            String::clone,
            |text| checks::name("client id", text, |_| true),
        )
    }

    fn source(&mut self, written: Text, client_id: &str) -> String {
        self.checked(
            "source",
            written,
            defaults::SOURCE.to_owned(),
            String::clone,
            |text| checks::source(text, client_id),
        )
    }
}

/// Without `.`, `..` and doubled slashes. By its letters: links are not followed.
fn tidied(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

/// A list of patterns as it would be written.
fn show_patterns(patterns: &[SubjectPattern]) -> String {
    format!(
        "[{}]",
        patterns
            .iter()
            .map(|p| format!("\"{p}\""))
            .collect::<Vec<_>>()
            .join(", ")
    )
}
