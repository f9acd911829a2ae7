//! What settings written as TOML have in common: where a value stands, how a mistake reads, and
//! values that a person writes (durations, sizes, `${env:NAME}`).
//!
//! A leaf under `config` and `policy`; it must not know which settings there are.

use std::fmt;

mod document;
mod expand;
mod mistake;
mod suggest;
mod values;

pub use document::{Document, Section};
pub(crate) use document::{bytes, pattern, whole};
pub(crate) use expand::beside;
pub use expand::{ExpandError, Lookups, Reference, expand};
pub use mistake::{Mistake, Mistakes, Problem};
pub use suggest::nearest;
pub use values::{ByteSize, format_duration, parse_bytes, parse_duration};

/// Where a value comes from, and so where to change it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A command-line flag, with its dashes.
    Flag(&'static str),
    /// An environment variable.
    Env(&'static str),
    /// A line of a file.
    File {
        /// The path as it was given.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) | Origin::Env(name) => f.write_str(name),
            Origin::File { file, line } => write!(f, "{file}:{line}"),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub origin: Origin,
}

impl<T> Written<T> {
    /// A value and the place it was found at.
    pub fn new(value: T, origin: Origin) -> Written<T> {
        Written { value, origin }
    }

    /// The same place, another value.
    pub fn map<U>(self, with: impl FnOnce(T) -> U) -> Written<U> {
        Written {
            value: with(self.value),
            origin: self.origin,
        }
    }
}

/// A text that is never printed: not in logs, not by `conche config`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
