//! Mistakes in settings: collected, not thrown, so that a person sees all of them at once.

use std::fmt;

use toml::de::DeValue;

use super::{ExpandError, Origin, nearest};
use crate::subject::SubjectError;

/// One mistake: where, in which key, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// Where it was written.
    pub origin: Origin,
    /// The key with its section, `nats.urls`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a value. The text says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// Nobody reads this key.
    #[error("unknown key{hint}")]
    UnknownKey {
        /// A key close by, or those there are.
        hint: String,
    },
    /// The same key in two spellings.
    #[error("given twice: `-` and `_` are the same in a key")]
    Twice,
    /// Another kind of value, or one that can't be read.
    #[error("{found} is no {wanted}")]
    Wanted {
        /// What would do, and how it is written.
        wanted: &'static str,
        /// What was found.
        found: String,
    },
    /// A number outside its range.
    #[error("{found} is out of range: {range}")]
    Range {
        /// What was found.
        found: String,
        /// `at least 1`, `0 to 1`.
        range: String,
    },
    /// A word that is none of a few.
    #[error("{found:?} is none of {choices}{hint}")]
    Choice {
        /// What was found.
        found: String,
        /// The words, with commas.
        choices: String,
        /// A word close by.
        hint: String,
    },
    /// No subject pattern.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// A `${…}` that leads nowhere.
    #[error(transparent)]
    Expand(#[from] ExpandError),
    /// What only the setting itself can explain.
    #[error("{0}")]
    Other(String),
}

/// All mistakes of one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Problem {
    /// Another kind of value than `wanted` says.
    pub fn wanted(wanted: &'static str, found: &DeValue<'_>) -> Problem {
        let found = match found {
            DeValue::String(text) => format!("{text:?}"),
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Float(float) => float.to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        };
        Problem::Wanted { wanted, found }
    }

    /// A word that is none of `choices`.
    pub fn choice(found: &str, choices: &[&str]) -> Problem {
        let hint = nearest(found, choices.iter().copied());
        Problem::Choice {
            found: found.to_owned(),
            choices: choices.join(", "),
            hint: hint
                .map(|near| format!(", did you mean {near:?}?"))
                .unwrap_or_default(),
        }
    }
}

impl Mistakes {
    /// Notes one more.
    pub fn add(&mut self, origin: Origin, key: impl Into<String>, problem: impl Into<Problem>) {
        self.0.push(Mistake {
            origin,
            key: key.into(),
            problem: problem.into(),
        });
    }

    /// Takes another reading's in.
    pub fn extend(&mut self, others: Mistakes) {
        self.0.extend(others.0);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// The value if nothing was wrong.
    ///
    /// # Errors
    /// Everything that was, in the order of the lines.
    pub fn finish<T>(mut self, value: T) -> Result<T, Mistakes> {
        self.0.sort_by(|a, b| a.origin.cmp(&b.origin));
        // One variable may feed two settings.
        self.0.dedup_by_key(|mistake| mistake.to_string());
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl std::error::Error for Mistakes {}

/// One a line.
impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A flag or a variable names the setting by itself.
        let names_itself = matches!(self.origin, Origin::Flag(_) | Origin::Env(_));
        match &self.origin {
            Origin::Default => {}
            origin => write!(f, "{origin}: ")?,
        }
        if !self.key.is_empty() && !names_itself {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.problem)
    }
}
