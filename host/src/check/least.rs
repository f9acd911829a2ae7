//! The least policy that a plugin can do with, as the file that an operator saves. Pure.

use std::fmt::Write as _;

use super::grants::SENDING;
use super::limits::Measure;
use crate::policy::{Grant, PluginName};
use crate::sandbox::{Registrations, Seen, has_interface};
use crate::subject::{SubjectPattern, is_reserved};

/// The file's text. `needs` are the limits that it would have without it.
pub(super) fn text(
    name: &PluginName,
    registrations: &Registrations,
    imports: &[String],
    seen: &Seen,
    needs: &[Measure],
) -> String {
    let mut text = format!("# The least that {name} needs, as conche check sees it.\n[grants]\n");
    let ops = registrations.queries.iter().map(|(_, op)| op.as_str());
    let types = registrations.events.iter().map(|(_, ty)| ty.as_str());
    // Lists that are absent would grant what exists.
    list(&mut text, Grant::Query, ops);
    list(&mut text, Grant::Event, types);
    if registrations.any_query.is_some() {
        text.push_str("any-query = true\n");
    }
    if registrations.any_event.is_some() {
        text.push_str("any-event = true\n");
    }
    for (grant, interface, does) in SENDING {
        let asked = seen.asked.iter().filter(|(asked, _)| *asked == grant);
        let asked = asked.map(|(_, subject)| subject.as_str());
        let asked: Vec<_> = asked.filter(|subject| !is_reserved(subject)).collect();
        let word = if grant == Grant::Request {
            "OP"
        } else {
            "TYPE"
        };
        if !asked.is_empty() {
            let _ = writeln!(
                text,
                "# seen when it was tried; whatever else it {does} belongs here:"
            );
            list(&mut text, grant, asked.into_iter());
        } else if has_interface(imports, interface) {
            let _ = writeln!(
                text,
                "# it imports {interface}: name what it {does}, or leave this out"
            );
            let _ = writeln!(text, "# {grant} = [\"{word}\"]");
        }
    }
    let limits: Vec<_> = needs.iter().filter_map(Measure::line).collect();
    if !limits.is_empty() {
        let _ = writeln!(text, "\n[limits]\n{}", limits.join("\n"));
    }
    if !seen.config_keys.is_empty() {
        text.push_str("\n# it looked these up:\n[config]\n");
        for key in &seen.config_keys {
            let _ = writeln!(text, "# {} = \"\"", toml_key(key));
        }
    }
    text
}

/// One list, in a line, or a line each where that is too long.
fn list<'s>(text: &mut String, grant: Grant, subjects: impl Iterator<Item = &'s str>) {
    let mut patterns: Vec<_> = subjects.map(pattern).collect();
    patterns.dedup();
    let patterns: Vec<_> = patterns.iter().map(|pattern| quoted(pattern)).collect();
    let line = format!("{grant} = [{}]\n", patterns.join(", "));
    if line.len() <= 100 {
        text.push_str(&line);
        return;
    }
    let _ = writeln!(text, "{grant} = [");
    for pattern in patterns {
        let _ = writeln!(text, "    {pattern},");
    }
    text.push_str("]\n");
}

/// What grants a subject; a type that is none is granted with all others only.
fn pattern(subject: &str) -> &str {
    match subject.parse::<SubjectPattern>() {
        Ok(pattern) if pattern.is_literal() => subject,
        _ => ">",
    }
}

/// JSON's escapes are TOML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn toml_key(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(is_plain) {
        return key.to_owned();
    }
    quoted(key)
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::check::limits::Measure;
    use crate::policy::limits::{CPU, MEMORY};
    use crate::policy::{Grant, RawPolicy};
    use crate::sandbox::{Registrations, Seen};
    use crate::settings::Document;

    fn registrations() -> Registrations {
        let mut registrations = Registrations::default();
        for number in 1..6 {
            let op = format!("cyverse.a-rather-long-name.Number{number}");
            registrations.queries.push(("one".into(), op));
        }
        let odd = "no subject: \"quoted\"".to_owned();
        registrations.events.push(("odd".into(), odd));
        registrations.any_event = Some("any".into());
        registrations
    }

    fn seen() -> Seen {
        Seen {
            asked: [
                (Grant::Emit, "org.example.Done".to_owned()),
                (Grant::Emit, "$JS.API.INFO".to_owned()),
            ]
            .into(),
            config_keys: ["greeting".to_owned(), "a b".to_owned()].into(),
            ..Seen::default()
        }
    }

    #[test]
    fn what_is_known_is_granted_and_the_rest_to_be_filled_in() {
        let measure = |limit, used, given| Measure {
            limit,
            used: Some(used),
            given,
            most: None,
        };
        let needs = [
            measure(&CPU, 10, 1000),
            measure(&MEMORY, 90 << 20, 64 << 20),
        ];
        let imports = ["emit", "listeners"].map(|name| format!("conche:handler/{name}@0.1.0"));
        let name = "odd".parse().unwrap();
        let text = text(&name, &registrations(), &imports, &seen(), &needs);
        insta::assert_snapshot!(text);
        let document = Document::parse("odd.toml", &text).unwrap();
        document.read(RawPolicy::read);
        assert_eq!(document.into_mistakes().to_string(), "");
    }
}
