//! NATS subjects and subject patterns: which are legal, which match, which overlap.
//!
//! A leaf, and pure: it must not know NATS connections, plugins, policies or configuration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest subject or pattern that is accepted, in bytes. NATS itself stops at the size of
/// its control line (4 KiB by default), which subject, reply inbox and header sizes share.
pub const MAX_SUBJECT_BYTES: usize = 255;

/// Why a text is no legal subject, or no legal pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// The text has no characters at all.
    #[error("subject is empty")]
    Empty,
    /// More than [`MAX_SUBJECT_BYTES`].
    #[error("subject has {bytes} bytes, more than {MAX_SUBJECT_BYTES}")]
    TooLong {
        /// The length found, in bytes.
        bytes: usize,
    },
    /// Two dots in a row, or one at either end.
    #[error("subject `{subject}` has an empty token: a dot too many")]
    EmptyToken {
        /// The text given.
        subject: String,
    },
    /// White space or a control character, which would break NATS's text protocol.
    #[error("subject `{}` has the character {character:?}", .subject.escape_debug())]
    Character {
        /// The text given.
        subject: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// `*` or `>` as a part of a token: NATS would take it literally, nobody means that.
    #[error("subject `{subject}` has `{wildcard}` inside a token: a wildcard is a whole token")]
    PartialWildcard {
        /// The text given.
        subject: String,
        /// The wildcard found.
        wildcard: char,
    },
    /// A `>` that is not the last token.
    #[error("subject `{subject}` has `>` before its last token")]
    TailNotLast {
        /// The text given.
        subject: String,
    },
    /// A wildcard where only a literal subject will do.
    #[error("subject `{subject}` has the wildcard `{wildcard}`, a literal subject is needed")]
    Wildcard {
        /// The text given.
        subject: String,
        /// The wildcard found.
        wildcard: char,
    },
}

/// A NATS subject pattern: tokens between dots; `*` stands for one token, a `>` at the end for one
/// token or more.
///
/// ```
/// use conche::subject::SubjectPattern;
///
/// let pattern: SubjectPattern = "org.cyverse.>".parse()?;
/// assert!(pattern.matches("org.cyverse.users.Get"));
/// assert!(!pattern.matches("org.cyverse"));
/// # Ok::<(), conche::subject::SubjectError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern(String);

impl SubjectPattern {
    /// Whether the pattern takes this subject. Allocates nothing.
    ///
    /// `subject` is meant to be legal ([`check_literal`]); an empty token is matched by nothing.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (_, None | Some("")) => return false,
                (">", Some(_)) => return tokens.all(|rest| !rest.is_empty()),
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Whether some subject is matched by both patterns.
    pub fn overlaps(&self, other: &SubjectPattern) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Whether every subject that `other` matches is matched by this pattern too.
    pub fn covers(&self, other: &SubjectPattern) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (Some(_), Some(">")) => return false,
                (Some("*"), Some(_)) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern has no wildcard and so matches itself only.
    pub fn is_literal(&self) -> bool {
        self.0.split('.').all(|token| token != "*" && token != ">")
    }
}

impl FromStr for SubjectPattern {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        check_pattern(text)?;
        Ok(SubjectPattern(text.to_owned()))
    }
}

impl TryFrom<String> for SubjectPattern {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, SubjectError> {
        check_pattern(&text)?;
        Ok(SubjectPattern(text))
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> String {
        pattern.0
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks that `s` is a subject that a message can be sent to: tokens that are not empty, no
/// white space, no control character, no wildcard, at most [`MAX_SUBJECT_BYTES`].
///
/// # Errors
/// The first rule that is broken. Nothing is said of reserved subjects: see [`is_reserved`].
pub fn check_literal(s: &str) -> Result<(), SubjectError> {
    check_tokens(s)?;
    match s.chars().find(|c| is_wildcard(*c)) {
        Some(wildcard) => Err(SubjectError::Wildcard {
            subject: s.to_owned(),
            wildcard,
        }),
        None => Ok(()),
    }
}

/// Whether a subject belongs to NATS (`$…`), to inboxes (`_INBOX.…`) or to the host itself
/// (`conche.…`): guests can neither listen nor send there.
pub fn is_reserved(s: &str) -> bool {
    s.starts_with('$') || s.starts_with("_INBOX.") || s.starts_with("conche.")
}

fn check_pattern(text: &str) -> Result<(), SubjectError> {
    check_tokens(text)?;
    let mut tokens = text.split('.').peekable();
    while let Some(token) = tokens.next() {
        if token == ">" && tokens.peek().is_some() {
            return Err(SubjectError::TailNotLast {
                subject: text.to_owned(),
            });
        }
        let wildcard = token.chars().find(|c| is_wildcard(*c));
        if let Some(wildcard) = wildcard.filter(|_| token.len() > 1) {
            return Err(SubjectError::PartialWildcard {
                subject: text.to_owned(),
                wildcard,
            });
        }
    }
    Ok(())
}

/// What literals and patterns have in common.
fn check_tokens(text: &str) -> Result<(), SubjectError> {
    if text.is_empty() {
        return Err(SubjectError::Empty);
    }
    if text.len() > MAX_SUBJECT_BYTES {
        return Err(SubjectError::TooLong { bytes: text.len() });
    }
    if let Some(character) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
        return Err(SubjectError::Character {
            subject: text.to_owned(),
            character,
        });
    }
    if text.split('.').any(str::is_empty) {
        return Err(SubjectError::EmptyToken {
            subject: text.to_owned(),
        });
    }
    Ok(())
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '>')
}

#[cfg(test)]
mod tests;
