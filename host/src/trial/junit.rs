//! A run of cases as JUnit's XML, which CI systems read: a suite a file. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use super::report::{Colour, Summary, failure, log_line};
use super::run::Verdict;

/// The document. `plugin` is what the cases were run against.
pub fn junit(plugin: &str, summary: &Summary) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let plugin = escape(plugin);
    let all = summary.suites.iter().flat_map(|suite| &suite.verdicts);
    let counts = counts(all.map(|(_, verdict)| verdict), summary.took);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "<testsuites name=\"{plugin}\" {counts}>");
    for suite in &summary.suites {
        let file = escape(&suite.file);
        let verdicts = || suite.verdicts.iter().map(|(_, verdict)| verdict);
        let counts = self::counts(verdicts(), verdicts().map(|v| v.took).sum());
        let _ = writeln!(text, "  <testsuite name=\"{file}\" {counts}>");
        for (name, verdict) in &suite.verdicts {
            case(&mut text, &plugin, &file, name, verdict);
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(text: &mut String, plugin: &str, file: &str, name: &str, verdict: &Verdict) {
    let _ = write!(
        text,
        "    <testcase name=\"{}\" classname=\"{plugin}\" file=\"{file}\" time=\"{}\"",
        escape(name),
        seconds(verdict.took)
    );
    if verdict.problems.is_empty() && verdict.lines.is_empty() {
        text.push_str("/>\n");
        return;
    }
    text.push_str(">\n");
    if let Some(first) = verdict.problems.first() {
        let without_log = Verdict {
            lines: Vec::new(),
            ..verdict.clone()
        };
        let _ = writeln!(
            text,
            "      <failure message=\"{}\">{}</failure>",
            escape(&first.text),
            escape(&failure(&without_log, Colour::Plain))
        );
    }
    if !verdict.lines.is_empty() {
        let lines = verdict.lines.iter().map(|line| log_line(line) + "\n");
        let log = escape(&lines.collect::<String>());
        let _ = writeln!(text, "      <system-out>{log}</system-out>");
    }
    text.push_str("    </testcase>\n");
}

fn counts<'v>(verdicts: impl Iterator<Item = &'v Verdict>, took: Duration) -> String {
    let (mut all, mut failed) = (0, 0);
    for verdict in verdicts {
        all += 1;
        failed += usize::from(!verdict.problems.is_empty());
    }
    let took = seconds(took);
    format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" time=\"{took}\"")
}

fn seconds(took: Duration) -> String {
    format!("{:.3}", took.as_secs_f64())
}

/// For text and for attributes; what XML 1.0 has no place for becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escape, junit};
    use crate::trial::report::tests::summary;

    #[test]
    fn a_run_is_a_document() {
        insta::assert_snapshot!(junit("orders", &summary()));
    }

    #[test]
    fn no_text_breaks_the_document() {
        assert_eq!(
            escape("a<b>&\"c\"\n\u{1b}\u{0}"),
            "a&lt;b&gt;&amp;&quot;c&quot;\n\u{fffd}\u{fffd}"
        );
        assert_eq!(escape("ë 🚀 ]]>"), "ë 🚀 ]]&gt;");
    }
}
