//! The rules for `data`, which decoding and encoding share. JSON is checked, never rebuilt.

use serde_json::value::RawValue;

use super::MAX_NESTING;
use super::attribute::JsonType;

/// What is wrong with the payload. Reads on after "data ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataFlaw {
    /// `data` and `data_base64` in one document.
    #[error("is given twice, as `data` and as `data_base64`")]
    Twice,
    /// `data_base64` is no JSON string.
    #[error("in `data_base64` is {0}, not a string")]
    NotString(JsonType),
    /// `data_base64` is not base64 with padding, in the standard alphabet.
    #[error("in `data_base64` is not base64: {reason}")]
    NotBase64 {
        /// What the decoder found, and where.
        reason: String,
    },
    /// The media type is JSON, the payload is not one JSON value in UTF-8.
    #[error("is not JSON, as its media type says: {reason}")]
    NotJson {
        /// What the parser found, and where.
        reason: String,
    },
    /// Deeper than [`MAX_NESTING`].
    #[error("nests arrays and objects more than {MAX_NESTING} deep")]
    TooDeep,
    /// [`super::Payload::Text`] under a JSON media type: a JSON text or a JSON string?
    #[error("is text under a JSON media type")]
    TextUnderJson,
}

/// Checks that the text is one JSON value, not too deep, and returns it without the white space
/// around it. One pass without recursion, no allocation to speak of.
pub(super) fn check_json(text: &str) -> Result<&str, DataFlaw> {
    let raw = serde_json::from_str::<&RawValue>(text).map_err(|error| DataFlaw::NotJson {
        reason: error.to_string(),
    })?;
    check_nesting(raw.get())?;
    Ok(raw.get())
}

pub(super) fn check_json_bytes(bytes: &[u8]) -> Result<&str, DataFlaw> {
    let text = std::str::from_utf8(bytes).map_err(|error| DataFlaw::NotJson {
        reason: error.to_string(),
    })?;
    check_json(text)
}

/// Checks the depth of a text that is JSON.
pub(super) fn check_nesting(json: &str) -> Result<(), DataFlaw> {
    // Cheap (the compiler vectorises it), and enough for all that is not an attack.
    let opened = json.bytes().filter(|b| matches!(b, b'[' | b'{')).count();
    if opened <= MAX_NESTING || depth(json) <= MAX_NESTING {
        Ok(())
    } else {
        Err(DataFlaw::TooDeep)
    }
}

fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => drop(bytes.next()),
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::{DataFlaw, check_json, check_json_bytes};

    #[test]
    fn json_is_left_as_it_is() {
        let kept = r#"{"b":12345678901234567890123,"a":[1.50,"\u0000\ud800",  -0]}"#;
        assert_eq!(check_json(&format!(" \n{kept}\t")), Ok(kept));
        for bad in [
            "",
            " ",
            "{",
            "1 2",
            "{\"a\":1,}",
            "nul",
            "\"\n\"",
            "\u{FEFF}1",
            "01",
            "+1",
        ] {
            assert!(
                matches!(check_json(bad), Err(DataFlaw::NotJson { .. })),
                "{bad}"
            );
        }
        assert!(matches!(
            check_json_bytes(b"\"\xff\""),
            Err(DataFlaw::NotJson { .. })
        ));
    }

    #[test]
    fn depth_is_limited_and_brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(check_json(&nested(10_000)).is_ok());
        assert_eq!(check_json(&nested(10_001)), Err(DataFlaw::TooDeep));
        assert_eq!(check_json(&nested(1_000_000)), Err(DataFlaw::TooDeep));
        assert!(matches!(
            check_json(&"[".repeat(1_000_000)),
            Err(DataFlaw::NotJson { .. })
        ));
        assert!(check_json(&format!("\"\\\"{}\"", "[".repeat(20_000))).is_ok());
        assert!(check_json(&format!("[{}[]]", "[],".repeat(20_000))).is_ok());
    }
}
