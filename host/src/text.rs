//! Texts that others write, cut to what may be kept of them. A leaf, and pure.

use std::borrow::Cow;

/// The text, or its beginning and how long the whole is where it has more than `max` bytes.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let begin = &text[..text.floor_char_boundary(max)];
    Cow::Owned(format!("{begin}… ({} bytes)", text.len()))
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüß", 5), "äö… (8 bytes)");
    }
}
