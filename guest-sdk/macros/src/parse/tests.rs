//! Every error, with the place it points at: the text between `‹ ›` in the input.

use super::*;

/// `input` without its marks fails at exactly what they enclose.
#[track_caller]
fn check(input: &str, expected: &str) {
    let marked = input.split_once('‹').and_then(|(before, rest)| {
        rest.split_once('›')
            .map(|(inside, after)| (before.to_owned(), inside, after))
    });
    let (start, end, plain) = match marked {
        Some((before, inside, after)) => {
            let start = before.chars().count();
            (
                start,
                start + inside.chars().count(),
                format!("{before}{inside}{after}"),
            )
        }
        None => (0, 0, input.to_owned()),
    };
    let error = syn::parse_str::<Plugin>(&plain).err().expect("no error");
    assert_eq!(error.to_string(), expected);
    if end > start {
        let span = error.span();
        assert_eq!(
            (span.start().column, span.end().column),
            (start, end),
            "points elsewhere"
        );
    }
}

#[test]
fn unknown_items() {
    check(
        r#"‹querys› "a" => f"#,
        "unknown item `querys`; did you mean `query`?",
    );
    check(
        r#"reusable, ‹anyEvent› => f"#,
        "unknown item `anyEvent`; did you mean `any_event`?",
    );
    check(
        r#"‹subscribe› "a" => f"#,
        "unknown item `subscribe`; expected one of `reusable`, `query`, `any_query`, `event`, \
         `any_event`, `listener`, `register`",
    );
    check(
        r#"‹"a"› => f"#,
        "expected one of `reusable`, `query`, `any_query`, `event`, `any_event`, `listener`, \
         `register`",
    );
}

#[test]
fn broken_items() {
    check(
        "",
        "no handlers: add an item such as `query \"op\" => function`",
    );
    check(
        "reusable",
        "no handlers: add an item such as `query \"op\" => function`",
    );
    check("query ‹f›", "expected `query \"op\" => function`");
    check(r#"query "a" ‹f›"#, "expected `query … => function`");
    check(
        r#"event ["a", ‹b›] => f"#,
        "expected `event \"type\" => function`",
    );
    check(
        r#"query "a" => ‹|›q| Ok(q)"#,
        "expected the path of a function; a closure cannot be a handler",
    );
    check(
        r#"query "a" => f as ‹g›"#,
        "expected the handler's name, as in `… as \"name\"`",
    );
    check(
        r#"query "a" => f ‹query› "b" => g"#,
        "expected `,` between items",
    );
}

#[test]
fn bad_ops_and_types() {
    let wild = "is no query op: write tokens joined by dots, without wildcards or spaces";
    check(r#"query ‹"a.>"› => f"#, &format!("`a.>` {wild}"));
    check(r#"query ["b", ‹"a..c"›] => f"#, &format!("`a..c` {wild}"));
    check(r#"query ‹""› => f"#, &format!("`` {wild}"));
    check(
        r#"query ‹"$SYS.x"› => f"#,
        "`$SYS.x` is reserved: ops begin neither with `$` nor `_INBOX.` nor `conche.`",
    );
    check(r#"event ‹""› => f"#, "an event type cannot be empty");
}

#[test]
fn doubles() {
    check(
        "reusable, ‹reusable›, any_query => f",
        "a second `reusable`",
    );
    check("any_query => f, any_query => ‹g›", "a second `any_query`");
    check(
        r#"query "a" => f, query ‹"a"› => g"#,
        "`a` is answered twice",
    );
    check(
        r#"query "a" => x::f, query "b" => y::‹f›"#,
        "another handler is named `f`; add `as \"other-name\"`",
    );
    check(
        r#"query "a" => f, event "b" => ‹f›"#,
        "`f` handles queries already; events need another function",
    );
}

#[test]
fn a_full_table() {
    let plugin: Plugin = syn::parse_str(
        r#"reusable, query ["a", "b"] => m::f, query "c" => m::f, event "t" => g as "events",
           any_event => g as "events", listener => heard, query [] => later, register => check,"#,
    )
    .unwrap();
    assert!(plugin.reusable && plugin.register.is_some());
    let names: Vec<String> = plugin.items.iter().map(|item| item.name.value()).collect();
    assert_eq!(names, ["f", "f", "events", "events", "heard", "later"]);
}
