//! Tables for what is legal and what matches; laws for overlap and cover.

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use super::{MAX_SUBJECT_BYTES, SubjectError, SubjectPattern, check_literal, is_reserved};

fn pattern(text: &str) -> SubjectPattern {
    text.parse().unwrap()
}

#[test]
fn patterns_that_are_refused_say_why() {
    let check = |text: &str, expected: &str| {
        let error = text.parse::<SubjectPattern>().unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("", "subject is empty");
    check(".a", "subject `.a` has an empty token: a dot too many");
    check("a..b", "subject `a..b` has an empty token: a dot too many");
    check("a.", "subject `a.` has an empty token: a dot too many");
    check("a b", "subject `a b` has the character ' '");
    check("a\r\nPUB", "subject `a\\r\\nPUB` has the character '\\r'");
    check("a.\0", "subject `a.\\0` has the character '\\0'");
    check(
        "a*.b",
        "subject `a*.b` has `*` inside a token: a wildcard is a whole token",
    );
    check(
        "a.>>",
        "subject `a.>>` has `>` inside a token: a wildcard is a whole token",
    );
    check("a.>.b", "subject `a.>.b` has `>` before its last token");
    check(&"a".repeat(256), "subject has 256 bytes, more than 255");
}

#[test]
fn a_literal_has_no_wildcard() {
    assert_eq!(check_literal("org.cyverse.users.Get"), Ok(()));
    assert_eq!(check_literal("größe.ok"), Ok(()));
    assert_eq!(check_literal(&"a".repeat(MAX_SUBJECT_BYTES)), Ok(()));
    for wildcard in ["*", ">", "a.*", "a.>", "a*b"] {
        assert!(matches!(
            check_literal(wildcard),
            Err(SubjectError::Wildcard { .. })
        ));
    }
    assert!(matches!(
        check_literal("a..b"),
        Err(SubjectError::EmptyToken { .. })
    ));
    assert_eq!(check_literal(""), Err(SubjectError::Empty));
}

#[test]
fn reserved_subjects() {
    for reserved in ["$SYS.x", "$JS.API", "_INBOX.abc", "conche.dlq.x"] {
        assert!(is_reserved(reserved), "{reserved}");
    }
    for free in ["cyverse.x", "_INBOXES.x", "conches.x", "a.$b", "conche"] {
        assert!(!is_reserved(free), "{free}");
    }
}

#[test]
fn matching() {
    let check = |p: &str, subject: &str, expected: bool| {
        assert_eq!(pattern(p).matches(subject), expected, "{p} on {subject}");
    };
    check("a.b", "a.b", true);
    check("a.b", "a.B", false);
    check("a.b", "a.b.c", false);
    check("a.b.c", "a.b", false);
    check("*", "a", true);
    check("*", "a.b", false);
    check("*", "", false);
    check("a.*.c", "a.b.c", true);
    check("a.*.c", "a..c", false);
    check(">", "a", true);
    check(">", "a.b.c", true);
    check(">", "", false);
    check(">", "a..b", false);
    check("a.>", "a", false);
    check("a.>", "a.b.c", true);
    check("a.*.>", "a.b", false);
    check("a.*.>", "a.b.c.d", true);
}

#[test]
fn overlap_and_cover() {
    let check = |a: &str, b: &str, overlaps: bool, covers: bool| {
        assert_eq!(
            pattern(a).overlaps(&pattern(b)),
            overlaps,
            "{a} overlaps {b}"
        );
        assert_eq!(pattern(a).covers(&pattern(b)), covers, "{a} covers {b}");
    };
    check("a.b", "a.b", true, true);
    check("a.b", "a.c", false, false);
    check("a.*", "a.b", true, true);
    check("a.b", "a.*", true, false);
    check("a.*", "*.b", true, false);
    check("a.>", "a.*", true, true);
    check("a.*", "a.>", true, false);
    check("a.>", "a", false, false);
    check(">", "*", true, true);
    check("*.>", ">", true, false);
    check(">", "*.>", true, true);
    check("*.*", "a.>", true, false);
    check("*", "a.>", false, false);
}

#[test]
fn serde_is_the_text() {
    let p: SubjectPattern = serde_json::from_str("\"org.>\"").unwrap();
    assert_eq!(serde_json::to_string(&p).unwrap(), "\"org.>\"");
    assert!(serde_json::from_str::<SubjectPattern>("\"org.>.x\"").is_err());
    assert!(pattern("a.b").is_literal() && !pattern("a.*").is_literal());
    assert_eq!((p.as_str(), p.to_string().as_str()), ("org.>", "org.>"));
}

/// Few tokens and short subjects, so that matches are common.
fn patterns() -> impl Strategy<Value = SubjectPattern> {
    "([ab*]\\.){0,3}[ab*>]".prop_map(|text| pattern(&text))
}

/// Every subject over {a, b} of up to five tokens: more tokens than any pattern above has, and so
/// enough to decide overlap and cover by trial.
fn subjects() -> Vec<String> {
    let mut all = vec!["a".to_owned(), "b".to_owned()];
    let mut last = all.clone();
    for _ in 1..5 {
        last = last
            .iter()
            .flat_map(|s| [format!("{s}.a"), format!("{s}.b")])
            .collect();
        all.extend(last.iter().cloned());
    }
    // A token that no pattern names stands for all others.
    let other = all.iter().map(|s| s.replace('b', "z")).collect::<Vec<_>>();
    all.extend(other);
    all
}

proptest! {
    #[test]
    fn overlap_is_a_common_subject(a in patterns(), b in patterns()) {
        let common = subjects().iter().any(|s| a.matches(s) && b.matches(s));
        prop_assert_eq!(a.overlaps(&b), common);
        prop_assert_eq!(a.overlaps(&b), b.overlaps(&a));
    }

    #[test]
    fn cover_is_inclusion(a in patterns(), b in patterns()) {
        let included = subjects().iter().all(|s| !b.matches(s) || a.matches(s));
        prop_assert_eq!(a.covers(&b), included);
        prop_assert!(a.covers(&a));
        prop_assert!(!a.covers(&b) || a.overlaps(&b));
    }

    #[test]
    fn any_text_is_judged_without_panic(text in ".{0,12}") {
        let parsed = text.parse::<SubjectPattern>();
        if check_literal(&text).is_ok() {
            let parsed = parsed.unwrap();
            prop_assert!(parsed.is_literal() && parsed.matches(&text));
        }
    }
}
