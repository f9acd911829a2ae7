//! What differs from run to run, by its shape. What a message was sent with is never masked: where
//! it comes back, it must come back as it was.

/// Whether a host made the ids in a message anew, or from what it was sent: then they are the same
/// in each run and on each replica, and stay.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Fresh,
    Hashed,
}

/// How long such a thing is, if a text begins with one.
type Shape = fn(&str) -> Option<usize>;

/// Each with what stands for it.
const SHAPES: [(Shape, &str); 5] = [
    (id, ID),
    (listener, "listener-<xid>"),
    (time, "<time>"),
    (digest, "<digest>"),
    (timeout, "Conche-Timeout-Ms: <ms>"),
];

const ID: &str = "cloudevent-<xid>";

/// `text`, with all that was not `given` and has such a shape masked.
pub(super) fn mask(text: &str, given: &str, ids: Ids) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = SHAPES
            .iter()
            .find_map(|(shape, name)| Some((shape(rest)?, name)))
            .filter(|(_, name)| ids == Ids::Fresh || **name != ID)
            .filter(|(length, _)| !given.contains(&rest[..*length]));
        let length = match found {
            Some((length, name)) => {
                masked.push_str(name);
                length
            }
            None => {
                masked.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    masked
}

fn id(text: &str) -> Option<usize> {
    xid_after("cloudevent-", text)
}

fn listener(text: &str) -> Option<usize> {
    xid_after("listener-", text)
}

fn xid_after(prefix: &str, text: &str) -> Option<usize> {
    let xid = text.strip_prefix(prefix)?;
    let length = run(xid, |b| matches!(b, b'0'..=b'9' | b'a'..=b'v'));
    (length == 20).then_some(prefix.len() + length)
}

fn time(text: &str) -> Option<usize> {
    let date = text.get(.."2020-02-28T12:13:39".len())?;
    let form: String = date
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if form != "0000-00-00T00:00:00" {
        return None;
    }
    let rest = &text[date.len()..];
    let fraction = run(rest, |b| b == b'.' || b.is_ascii_digit());
    let zone = ["Z", "+00:00"]
        .into_iter()
        .find(|zone| rest[fraction..].starts_with(zone))?;
    Some(date.len() + fraction + zone.len())
}

/// Of a plugin: another compiler makes another one.
fn digest(text: &str) -> Option<usize> {
    let length = run(text, |b| b.is_ascii_hexdigit());
    (length == 64).then_some(length)
}

fn timeout(text: &str) -> Option<usize> {
    const NAME: &str = "Conche-Timeout-Ms: ";
    let number = text.strip_prefix(NAME)?;
    match run(number, |b| b.is_ascii_digit()) {
        0 => None,
        length => Some(NAME.len() + length),
    }
}

fn run(text: &str, is_part: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| is_part(*b)).count()
}

#[test]
fn what_was_given_stays() {
    let given = r#""id":"cloudevent-c0usj6qljdkc1t9civvg","time":"2020-02-28T12:13:39.4589254Z""#;
    let check = |text: &str, ids, masked: &str| {
        let text = format!("{given} \u{e4} {text}");
        assert_eq!(mask(&text, given, ids), format!("{given} \u{e4} {masked}"));
    };
    let fresh = r#""id":"cloudevent-c0usj6qljdkc1t9cj000","time":"2026-02-28T12:13:39+00:00""#;
    let both = r#""id":"cloudevent-<xid>","time":"<time>""#;
    let only_time = r#""id":"cloudevent-c0usj6qljdkc1t9cj000","time":"<time>""#;
    check(fresh, Ids::Fresh, both);
    check(fresh, Ids::Hashed, only_time);
    let digest = "a".repeat(64);
    check(&format!("/{digest}"), Ids::Fresh, "/<digest>");
    let timeout = "Conche-Timeout-Ms: 95\n";
    check(timeout, Ids::Fresh, "Conche-Timeout-Ms: <ms>\n");
}
