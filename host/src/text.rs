//! Texts that others write, cut to what may be kept of them. A leaf, and pure.

use std::borrow::Cow;

/// The longest reason that a guest or a peer gives which is kept, in bytes: it goes into the log, and
/// to the server that ends a delivery.
pub(crate) const REASON_MAX: usize = 1024;

/// The most of an id or a type that goes into a line of the log, in bytes.
const NAME_MAX: usize = 256;

/// An id or a type of a message, for the log: a peer writes what it likes there, up to all that a
/// message may have, and it is in each line about the call.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    cut(text, NAME_MAX)
}

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
