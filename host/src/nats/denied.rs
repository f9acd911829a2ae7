//! What the server says that it denies. Nothing but the text of its error tells.

/// What is done to a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Publish,
    Subscribe,
}

/// What a complaint is about: `Permissions Violation for Publish to "a.b"`.
pub(super) fn complaint(text: &str) -> Option<(Act, &str)> {
    let (_, about) = text.split_once("ermissions Violation for ")?;
    let act = if about.starts_with("Publish") {
        Act::Publish
    } else if about.starts_with("Subscription") {
        Act::Subscribe
    } else {
        return None;
    };
    let subject = about.split('"').nth(1)?;
    Some((act, subject))
}

#[cfg(test)]
mod tests {
    use super::{Act, complaint};

    #[test]
    fn a_complaint_names_what_was_denied() {
        let check = |text, expected| assert_eq!(complaint(text), expected, "{text}");
        let publish = "nats: Permissions Violation for Publish to \"$JS.API.INFO\"";
        check(publish, Some((Act::Publish, "$JS.API.INFO")));
        let subscribe = "Permissions Violation for Subscription to \"a.b\" using queue \"q\"";
        check(subscribe, Some((Act::Subscribe, "a.b")));
        check("nats: maximum connections exceeded", None);
    }
}
