//! The rules for attribute names and values, which decoding and encoding share.

use std::collections::HashSet;
use std::fmt;

use fluent_uri::{Uri, UriRef};

use super::media::is_media_type;

/// What is wrong with an attribute. Reads on after "attribute `name` ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// `id`, `source`, `type` or `specversion` is absent or `null`.
    #[error("is missing")]
    Missing,
    /// The specification wants a text that is not empty.
    #[error("is empty")]
    Empty,
    /// A member of the JSON object, or a header, is there twice.
    #[error("is given twice")]
    Duplicate,
    /// Outside `a-z` and `0-9`, or empty.
    #[error("has a name outside a-z and 0-9")]
    Name,
    /// An extension named like an attribute of the specification, or like `data`.
    #[error("is an extension with a name that the specification has taken")]
    Reserved,
    /// An attribute of the specification that is no JSON string.
    #[error("is {0}, not a string")]
    NotString(JsonType),
    /// An extension that is an array or an object.
    #[error("is {0}: an extension is a boolean, an integer or a string")]
    NotScalar(JsonType),
    /// A number with a fraction or an exponent.
    #[error("is a number that is no integer")]
    NotInteger,
    /// CloudEvents integers have 32 bits.
    #[error("is an integer outside -2147483648 to 2147483647")]
    IntegerRange,
    /// A control character or one of Unicode's noncharacters.
    #[error("has the character U+{:04X}, which no attribute may have", *.0 as u32)]
    Character(char),
    /// An escape in its JSON string that is no character (half of a surrogate pair).
    #[error("has an escape that is no character")]
    Escape,
    /// A header whose percent-encoding does not make UTF-8.
    #[error("is not UTF-8 once its percent-encoding is undone")]
    NotUtf8,
    /// `specversion` other than 1.0.
    #[error("is not \"1.0\"")]
    SpecVersion,
    /// `source` is no URI reference of RFC 3986.
    #[error("is not a URI reference")]
    NotUriReference,
    /// `dataschema` is no URI with a scheme.
    #[error("is not an absolute URI")]
    NotAbsoluteUri,
    /// `time` is no RFC 3339 date and time.
    #[error("is not an RFC 3339 time")]
    NotTime,
    /// `datacontenttype` is no RFC 2046 media type.
    #[error("is not a media type")]
    NotMediaType,
}

/// The type of a JSON value, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `true` or `false`
    Boolean,
    /// Any number.
    Number,
    /// A string.
    String,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JsonType::Boolean => "a boolean",
            JsonType::Number => "a number",
            JsonType::String => "a string",
            JsonType::Array => "an array",
            JsonType::Object => "an object",
        })
    }
}

/// The names that no extension can have: the specification's attributes and the payload's members.
pub(super) fn is_reserved_name(name: &str) -> bool {
    matches!(
        name,
        "specversion"
            | "id"
            | "source"
            | "type"
            | "subject"
            | "time"
            | "datacontenttype"
            | "dataschema"
            | "data"
    )
}

pub(super) fn check_name(name: &str) -> Result<(), Flaw> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.is_empty() || !name.bytes().all(legal) {
        Err(Flaw::Name)
    } else {
        Ok(())
    }
}

/// The specification's String: no control characters, no noncharacters.
pub(super) fn check_text(text: &str) -> Result<(), Flaw> {
    // Nearly all attributes are printable ASCII: no need to decode their characters.
    if all_bytes(text, |b| matches!(b, b' '..=b'~')) {
        return Ok(());
    }
    let noncharacter =
        |c: char| matches!(c as u32, 0xFDD0..=0xFDEF) || (c as u32 & 0xFFFE) == 0xFFFE;
    match text.chars().find(|c| c.is_control() || noncharacter(*c)) {
        Some(character) => Err(Flaw::Character(character)),
        None => Ok(()),
    }
}

/// Looks at every byte, even after one that fails: texts are short, and the compiler vectorises it.
pub(super) fn all_bytes(text: &str, is_right: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_right(byte))
}

/// A String that is not empty: `id`, `type`, `subject`.
pub(super) fn check_present(text: &str) -> Result<(), Flaw> {
    if text.is_empty() {
        Err(Flaw::Empty)
    } else {
        check_text(text)
    }
}

pub(super) fn check_source(text: &str) -> Result<(), Flaw> {
    check_present(text)?;
    if is_plain_path(text) {
        return Ok(());
    }
    UriRef::parse(text)
        .map(drop)
        .map_err(|_| Flaw::NotUriReference)
}

/// Whether it is a path without anything that has a meaning elsewhere in a URI: most sources are, and
/// need no parse.
fn is_plain_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
    text.starts_with('/') && !text.starts_with("//") && all_bytes(text, plain)
}

/// RFC 3986 calls a URI without fragment absolute; fragments are let through, see
/// [`super::CloudEvent::dataschema`].
pub(super) fn check_dataschema(text: &str) -> Result<(), Flaw> {
    check_present(text)?;
    Uri::parse(text).map(drop).map_err(|_| Flaw::NotAbsoluteUri)
}

pub(super) fn check_datacontenttype(text: &str) -> Result<(), Flaw> {
    check_present(text)?;
    if is_media_type(text) {
        Ok(())
    } else {
        Err(Flaw::NotMediaType)
    }
}

/// RFC 3339 `date-time`: offsets have hours and minutes, days exist, a 60th second may be.
pub(super) fn check_time(text: &str) -> Result<(), Flaw> {
    check_present(text)?;
    if is_time(text.as_bytes()).is_some() {
        Ok(())
    } else {
        Err(Flaw::NotTime)
    }
}

/// The first name that is there twice. Linear in all but the smallest sets: names come from others.
pub(super) fn find_duplicate<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    const FEW: usize = 16;
    if names.clone().nth(FEW).is_none() {
        let mut rest = names;
        while let Some(name) = rest.next() {
            if rest.clone().any(|other| other == name) {
                return Some(name);
            }
        }
        return None;
    }
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// A name as an error shows it: it comes from outside and may be of any length.
pub(super) fn shown(name: &str) -> String {
    const SHOWN: usize = 64;
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn is_time(b: &[u8]) -> Option<()> {
    let year = number(b, 0, 4)?;
    separator(b, 4, b"-")?;
    let month = number(b, 5, 2)?;
    separator(b, 7, b"-")?;
    let day = number(b, 8, 2)?;
    separator(b, 10, b"Tt")?;
    let hour = number(b, 11, 2)?;
    separator(b, 13, b":")?;
    let minute = number(b, 14, 2)?;
    separator(b, 16, b":")?;
    let second = number(b, 17, 2)?;

    let mut rest = b.get(19..)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        rest = fraction.get(digits..).filter(|_| digits > 0)?;
    }
    let offset_is_right = match rest {
        b"Z" | b"z" => true,
        [b'+' | b'-', _, _, b':', _, _] => number(rest, 1, 2)? < 24 && number(rest, 4, 2)? < 60,
        _ => false,
    };
    let days = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let day_exists = (1..=days).contains(&day);
    (offset_is_right && day_exists && hour < 24 && minute < 60 && second <= 60).then_some(())
}

fn number(b: &[u8], at: usize, digits: usize) -> Option<u32> {
    b.get(at..at + digits)?.iter().try_fold(0, |n, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        Some(n * 10 + digit)
    })
}

fn separator(b: &[u8], at: usize, allowed: &[u8]) -> Option<()> {
    b.get(at).filter(|b| allowed.contains(b)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{
        Flaw, UriRef, check_dataschema, check_name, check_source, check_text, check_time,
        is_plain_path,
    };

    #[test]
    fn times() {
        let check = |text: &str, right: bool| {
            let expected = if right { Ok(()) } else { Err(Flaw::NotTime) };
            assert_eq!(check_time(text), expected, "{text}");
        };
        check("2018-04-05T17:31:00Z", true);
        check("2020-02-28T12:13:39.4589254Z", true);
        check("2018-04-05T17:31:00.000000000+01:00", true);
        check("2018-04-05t17:31:00z", true);
        check("2016-12-31T23:59:60Z", true);
        check("2020-02-29T00:00:00-23:59", true);
        check("2000-02-29T00:00:00Z", true);
        check("1900-02-29T00:00:00Z", false);
        check("2021-02-29T00:00:00Z", false);
        check("2021-04-31T00:00:00Z", false);
        check("2021-13-01T00:00:00Z", false);
        check("2021-00-01T00:00:00Z", false);
        check("2021-01-00T00:00:00Z", false);
        check("2021-01-01T24:00:00Z", false);
        check("2021-01-01T00:60:00Z", false);
        check("2021-01-01T00:00:61Z", false);
        check("lunchtime", false);
        check("2018-04-05T18:31Z", false);
        check("2018-04-05T18:31:00X", false);
        check("2018-04-05T18:31:00", false);
        check("2018-04-05T18:31:00+25:00", false);
        check("2018-04-05T18:31:00+00:60", false);
        check("2018-04-05T18:31:00+xx:00", false);
        check("2018-04-05T18:31:00+05", false);
        check("2018-04-05T18:31:00+0500", false);
        check("2018-04-05T18:31:00.Z", false);
        check("2018-04-05T18:31:00Z ", false);
        check("2018-04-05 18:31:00Z", false);
        check("+018-04-05T18:31:00Z", false);
        check("1522949460", false);
        assert_eq!(check_time(""), Err(Flaw::Empty));
    }

    #[test]
    fn uris() {
        let source = |text: &str, right: bool| {
            assert_eq!(check_source(text).is_ok(), right, "{text}");
        };
        source("/conche/host/plugin", true);
        source("https://gitlab.com/cyverse/users-microservice/pod-1", true);
        source("users-client_1", true);
        source("#fragment", true);
        source("urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true);
        source("a b", false);
        source("http://[::1", false);
        source("%zz", false);
        source("1st:thing", false);
        source("größe", false);
        let schema = |text: &str, right: bool| {
            assert_eq!(check_dataschema(text).is_ok(), right, "{text}");
        };
        schema("https://a/schema.json#/definitions/A", true);
        schema("/schema.json", false);
        schema("schema", false);
        assert_eq!(check_dataschema(""), Err(Flaw::Empty));
        assert_eq!(check_source(""), Err(Flaw::Empty));
    }

    #[test]
    fn a_plain_path_is_a_uri_reference() {
        let around = (' '..='\u{7F}').map(|c| format!("/a{c}b"));
        let slashes = ["", "a", "/", "//", "//a", "/a//b/"].map(str::to_owned);
        let (plain, other): (Vec<_>, Vec<_>) =
            around.chain(slashes).partition(|text| is_plain_path(text));
        for text in &plain {
            assert!(UriRef::parse(text.as_str()).is_ok(), "{text}");
        }
        // Letters, digits, `/-._~`, "/" and "/a//b/".
        assert_eq!((plain.len(), other.len()), (69, 33));
    }

    #[test]
    fn names_and_texts() {
        for name in ["transactionid", "a1", "1"] {
            assert_eq!(check_name(name), Ok(()));
        }
        for name in [
            "",
            "Transaction",
            "my.ext",
            "my_ext",
            "my-ext",
            "ä",
            "a b",
            "a\0",
        ] {
            assert_eq!(check_name(name), Err(Flaw::Name), "{name}");
        }
        assert_eq!(check_text("größe 𝄞 \u{FFFD}"), Ok(()));
        for c in [
            '\0',
            '\n',
            '\u{1F}',
            '\u{7F}',
            '\u{9F}',
            '\u{FDD0}',
            '\u{FFFE}',
            '\u{1FFFF}',
        ] {
            assert_eq!(check_text(&format!("a{c}")), Err(Flaw::Character(c)));
        }
    }
}
