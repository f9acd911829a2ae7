//! What a run of cases looks like to a person. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use super::diff::{self, Line};
use super::run::{Problem, Verdict};
use crate::sandbox::GuestLine;

/// Whether the reader's terminal shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Escapes for a terminal.
    Shown,
    /// Plain text.
    Plain,
}

/// What was run of one file.
#[derive(Debug)]
pub struct Suite {
    /// Where the cases are written.
    pub file: String,
    /// Their names, and how they ended.
    pub verdicts: Vec<(String, Verdict)>,
}

/// All that was run.
#[derive(Debug, Default)]
pub struct Summary {
    /// File by file.
    pub suites: Vec<Suite>,
    /// Cases that a filter left out.
    pub left_out: usize,
    /// All together.
    pub took: Duration,
}

const RED: &str = "31";
const GREEN: &str = "32";
const DIM: &str = "2";

/// One case in one line, as soon as it has run.
pub fn verdict_line(name: &str, verdict: &Verdict, colour: Colour) -> String {
    let took = format!("({})", short(verdict.took));
    let (word, code) = match verdict.problems.is_empty() {
        true => ("ok    ", GREEN),
        false => ("FAILED", RED),
    };
    let (word, took) = (colour.paint(code, word), colour.paint(DIM, &took));
    format!("  {word}  {} {took}\n", one_line(name))
}

impl Summary {
    /// Whether every case passed.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }

    /// Each failure with its differences and its log, then the counts.
    pub fn text(&self, colour: Colour) -> String {
        let mut text = String::new();
        for suite in &self.suites {
            let failed = suite.verdicts.iter();
            for (name, verdict) in failed.filter(|(_, v)| !v.problems.is_empty()) {
                let title = format!("FAILED {}: {}", suite.file, one_line(name));
                // Writing to a string cannot fail.
                let _ = writeln!(text, "\n{}", colour.paint(RED, &title));
                text.push_str(&failure(verdict, colour));
            }
        }
        let (all, failed) = (self.count(), self.failed());
        let mut counts = format!("{all} {}: {} passed", cases(all), all - failed);
        if failed > 0 {
            let _ = write!(counts, ", {failed} failed");
        }
        if self.left_out > 0 {
            let _ = write!(counts, ", {} left out by the filter", self.left_out);
        }
        let code = if failed > 0 { RED } else { GREEN };
        let counts = colour.paint(code, &counts);
        let _ = writeln!(text, "\n{counts} ({})", short(self.took));
        text
    }

    fn count(&self) -> usize {
        self.suites.iter().map(|suite| suite.verdicts.len()).sum()
    }

    fn failed(&self) -> usize {
        let verdicts = self.suites.iter().flat_map(|suite| &suite.verdicts);
        verdicts.filter(|(_, v)| !v.problems.is_empty()).count()
    }
}

/// What is not as expected, and what the guest logged.
pub(super) fn failure(verdict: &Verdict, colour: Colour) -> String {
    let mut text = String::new();
    for problem in &verdict.problems {
        self::problem(&mut text, problem, colour);
    }
    if !verdict.lines.is_empty() {
        text.push_str("  its log\n");
        for line in &verdict.lines {
            let _ = writeln!(text, "    {}", log_line(line));
        }
    }
    text
}

/// A line of a guest's log.
pub(super) fn log_line(line: &GuestLine) -> String {
    let mut text = format!(
        "{:<6} {}",
        line.level,
        line.message.replace('\n', "\n      ")
    );
    for (key, value) in &line.fields {
        let _ = write!(text, " {key}={value:?}");
    }
    text
}

fn problem(text: &mut String, problem: &Problem, colour: Colour) {
    let legend = match &problem.difference {
        Some((expected, _)) if !expected.is_null() => " (- expected, + came)",
        _ => "",
    };
    let said = problem.text.replace('\n', "\n    ");
    let _ = writeln!(text, "  {said}{}", colour.paint(DIM, legend));
    let Some((expected, seen)) = &problem.difference else {
        return;
    };
    for line in diff::lines(expected, seen) {
        let line = match line {
            Line::Both(line) => format!("  {line}"),
            Line::Expected(line) => colour.paint(RED, &format!("- {line}")),
            Line::Seen(line) => colour.paint(GREEN, &format!("+ {line}")),
        };
        let _ = writeln!(text, "    {line}");
    }
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::Shown if !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Shown | Colour::Plain => text.to_owned(),
        }
    }
}

fn short(took: Duration) -> String {
    match took.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

fn cases(count: usize) -> &'static str {
    if count == 1 { "case" } else { "cases" }
}

fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Colour, Suite, Summary, verdict_line};
    use crate::sandbox::GuestLine;
    use crate::trial::{Problem, Verdict};

    pub(in crate::trial) fn summary() -> Summary {
        let passed = Verdict {
            problems: Vec::new(),
            took: Duration::from_millis(2),
            lines: Vec::new(),
        };
        let line = |level, message: &str, fields: &[(&str, &str)]| GuestLine {
            level,
            message: message.to_owned(),
            fields: fields
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let failed = Verdict {
            problems: vec![
                Problem {
                    text: "the handler came to something else".to_owned(),
                    difference: Some((
                        json!({"reply": {"data": {"a": 1, "b": "<x>"}}}),
                        json!({"reply": {"data": {"a": 2, "b": "<x>"}}}),
                    )),
                },
                Problem::text("`answers[0]`: `a.b` was never asked"),
            ],
            took: Duration::from_millis(1234),
            lines: vec![
                line("info", "tried & failed", &[("order", "o-\"1\"")]),
                line("stderr", "two\nlines \u{1b}[31m", &[]),
            ],
        };
        Summary {
            suites: vec![Suite {
                file: "tests/a.yaml".to_owned(),
                verdicts: vec![
                    ("is well".to_owned(), passed),
                    ("is \"ill\"".to_owned(), failed),
                ],
            }],
            left_out: 3,
            took: Duration::from_millis(1300),
        }
    }

    #[test]
    fn a_failure_is_told_with_its_difference_and_its_log() {
        insta::assert_snapshot!(summary().text(Colour::Plain));
    }

    #[test]
    fn a_case_is_a_line() {
        let summary = summary();
        let [(passed, yes), (failed, no)] = summary.suites[0].verdicts.as_slice() else {
            panic!("{summary:?}")
        };
        let plain = |name, verdict| verdict_line(name, verdict, Colour::Plain);
        assert_eq!(plain(passed, yes), "  ok      is well (2 ms)\n");
        assert_eq!(plain(failed, no), "  FAILED  is \"ill\" (1.2 s)\n");
        let shown = verdict_line(passed, yes, Colour::Shown);
        assert!(shown.contains("\u{1b}[32mok    \u{1b}[0m"), "{shown:?}");
    }
}
