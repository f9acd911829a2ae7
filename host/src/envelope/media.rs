//! What a media type says of a payload.

use mediatype::{MediaType, ReadParams, names::CHARSET};

/// Whether a payload of this media type is JSON: `*/json` or `*/*+json` in any case, whatever the
/// parameters, and so is a payload without a media type. A text that is no media type is not.
pub fn is_json(datacontenttype: Option<&str>) -> bool {
    match datacontenttype {
        None => true,
        Some(text) if is_usual(text) => true,
        Some(text) => MediaType::parse(text).is_ok_and(|m| has_format(&m, "json")),
    }
}

/// Whether the text is a media type (RFC 2046), in the characters that a header can carry.
pub(super) fn is_media_type(text: &str) -> bool {
    is_usual(text)
        || (text.bytes().all(|b| matches!(b, b' '..=b'~')) && MediaType::parse(text).is_ok())
}

/// Whether bytes of this media type are characters in UTF-8: `text/*`, XML, or what says so.
pub(super) fn is_text(datacontenttype: &str) -> bool {
    let Ok(m) = MediaType::parse(datacontenttype) else {
        return false;
    };
    match m.get_param(CHARSET) {
        Some(charset) => {
            let charset = charset.unquoted_str();
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
        }
        None => m.ty.as_str().eq_ignore_ascii_case("text") || has_format(&m, "xml"),
    }
}

/// The spellings nearly every message has, without a parse.
fn is_usual(text: &str) -> bool {
    matches!(text, "application/json" | "application/json; charset=utf-8")
}

fn has_format(m: &MediaType<'_>, format: &str) -> bool {
    let whole = m.suffix.as_ref().unwrap_or(&m.subty);
    whole.as_str().eq_ignore_ascii_case(format)
}

#[cfg(test)]
mod tests {
    use super::{is_json, is_media_type, is_text};

    #[test]
    fn json_in_every_spelling() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_json(Some(text)), expected, "{text}");
            assert!(is_media_type(text), "{text}");
        };
        check("application/json", true);
        check("Application/JSON", true);
        check("application/json;charset=UTF-8", true);
        check("application/json ; charset=\"utf-8\"", true);
        check("application/json;", true);
        check("text/json", true);
        check("application/vnd.api+json", true);
        check("application/vnd.a+b+JSON; v=1", true);
        check("application/json+xml", false);
        check("application/jsonl", false);
        check("json/text", false);
        check("text/plain; a=json", false);
        assert!(is_json(None));
    }

    #[test]
    fn what_is_no_media_type() {
        let long = "a".repeat(70_000);
        let garbage = [
            "",
            "xyz",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a/b; c",
            "a/ü",
            "a/b\r\nX: y",
        ];
        let long = [
            format!("{long}/a"),
            format!("a/{long}"),
            format!("a/b+{long}"),
        ];
        for text in garbage.into_iter().chain(long.iter().map(String::as_str)) {
            assert!(!is_media_type(text), "{text:?}");
            assert!(!is_json(Some(text)), "{text:?}");
        }
        assert!(!is_media_type("a/b; c=\"ü\""));
    }

    #[test]
    fn text() {
        let check = |text: &str, expected: bool| assert_eq!(is_text(text), expected, "{text}");
        check("text/plain", true);
        check("TEXT/csv; header=present", true);
        check("text/plain; charset=iso-8859-1", false);
        check("application/xml", true);
        check("image/svg+xml", true);
        check("application/x-thing; charset=\"UTF-8\"", true);
        check("application/octet-stream", false);
        check("xyz", false);
    }
}
