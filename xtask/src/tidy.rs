//! The repository's rules that no compiler knows: who may use what, how long a file may be. The
//! rules are pure, over a path and a text; only `run` reads files.

use std::{fmt, fs, process::Command};

use anyhow::{Result, bail};

use crate::{shell, workspace::Workspace};

#[cfg(test)]
mod tests;
mod versions;

const MAX_LINES: usize = 400;
/// Directories below `host/src`.
const MAX_DEPTH: usize = 2;

/// A word, and the only places in `host/src` that may use it, as beginnings of a path.
struct Fence {
    rule: &'static str,
    words: &'static [&'static str],
    places: &'static [&'static str],
    fix: &'static str,
}

const FENCES: [Fence; 4] = [
    Fence {
        rule: "nats-only-at-the-edge",
        words: &["async_nats"],
        places: &["nats"],
        fix: "give this module an envelope type, and do the NATS part in host/src/nats",
    },
    Fence {
        rule: "wasmtime-only-in-sandbox",
        words: &["wasmtime::", "wasmtime_wasi", "use wasmtime"],
        places: &["sandbox"],
        fix: "move this into host/src/sandbox and hand out a type of our own",
    },
    Fence {
        rule: "notify-only-in-watch",
        words: &["notify::", "notify_debouncer_full", "use notify"],
        places: &["watch.rs"],
        fix: "let host/src/watch.rs say which files changed",
    },
    Fence {
        rule: "environment-only-at-the-top",
        words: &["std::env", "env::args", "env::var"],
        places: &["main.rs", "cli", "config"],
        fix: "take the value as an argument, or a closure that looks it up",
    },
];

/// Text that is nowhere in Rust code; split here so that this file passes.
const UNFINISHED: [&str; 2] = [concat!("todo", "!("), concat!("unimplemented", "!(")];
const IGNORED: &str = concat!("#[", "ignore");
const SLEEPS: [&str; 2] = [concat!("thread::", "sleep"), concat!("time::", "sleep(")];
/// Directories of one machine, in no file at all.
const MACHINE: [&str; 3] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
];

#[derive(Debug, PartialEq)]
struct Mistake {
    path: String,
    line: usize,
    rule: &'static str,
    fix: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.fix
        )
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut list = Command::new("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let paths = shell::read(list.current_dir(&workspace.root))?;
    let mut files = Vec::new();
    for path in paths.split_terminator('\0') {
        // Not UTF-8: no text. Not there: deleted, and not yet committed.
        if let Ok(text) = fs::read_to_string(workspace.root.join(path)) {
            files.push((path.to_owned(), text));
        }
    }
    let mistakes = judge(&files);
    for mistake in &mistakes {
        eprintln!("{mistake}");
    }
    match mistakes.len() {
        0 => Ok(()),
        count => bail!("tidy: {count} to fix"),
    }
}

fn judge(files: &[(String, String)]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (path, text) in files {
        machine_paths(path, text, &mut mistakes);
        if path.ends_with(".rs") {
            shape(path, text, &mut mistakes);
            fences(path, text, &mut mistakes);
            forbidden(path, text, &mut mistakes);
        }
    }
    mapped(files, &mut mistakes);
    versions::judge(files, &mut mistakes);
    mistakes
}

fn shape(path: &str, text: &str, mistakes: &mut Vec<Mistake>) {
    let mut wrong = |line, rule, fix: String| {
        mistakes.push(Mistake {
            path: path.to_owned(),
            line,
            rule,
            fix,
        });
    };
    if !text.starts_with("//!") {
        let fix = "begin with `//!`: what this file owns, and what it must not know";
        wrong(1, "header", fix.to_owned());
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        wrong(
            lines,
            "length",
            format!("{lines} lines; split it at {MAX_LINES} or before"),
        );
    }
    let depth = host_path(path).map_or(0, |inside| inside.matches('/').count());
    if depth > MAX_DEPTH {
        wrong(
            1,
            "depth",
            format!("{depth} directories under host/src; {MAX_DEPTH} at most"),
        );
    }
}

fn fences(path: &str, text: &str, mistakes: &mut Vec<Mistake>) {
    let Some(inside) = host_path(path) else {
        return;
    };
    for fence in FENCES {
        if fence.places.iter().any(|place| is_place(inside, place)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if fence.words.iter().any(|word| uses(code(line), word)) {
                mistakes.push(Mistake {
                    path: path.to_owned(),
                    line: index + 1,
                    rule: fence.rule,
                    fix: fence.fix.to_owned(),
                });
            }
        }
    }
}

fn forbidden(path: &str, text: &str, mistakes: &mut Vec<Mistake>) {
    let mut in_tests = is_test_file(path);
    for (index, line) in text.lines().enumerate() {
        let line = code(line);
        in_tests |= line.trim() == "#[cfg(test)]" && !is_guest(path);
        let wrong = if UNFINISHED.iter().any(|word| uses(line, word)) {
            (
                "unfinished",
                "finish it, or return an error that says what is missing",
            )
        } else if line.contains(IGNORED) {
            ("no-ignored-tests", "run it or delete it")
        } else if in_tests && SLEEPS.iter().any(|word| uses(line, word)) {
            (
                "no-sleep-in-tests",
                "wait for the condition, with a deadline",
            )
        } else {
            continue;
        };
        let (rule, fix) = (wrong.0, wrong.1.to_owned());
        mistakes.push(Mistake {
            path: path.to_owned(),
            line: index + 1,
            rule,
            fix,
        });
    }
}

fn machine_paths(path: &str, text: &str, mistakes: &mut Vec<Mistake>) {
    for (index, line) in text.lines().enumerate() {
        // `target/work/` or `https://host/work/` is a part of something longer.
        let starts_a_path = |(at, _): (usize, &str)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-~})>*".contains(c))
        };
        let found = MACHINE
            .iter()
            .find(|word| line.match_indices(**word).any(starts_a_path));
        if let Some(word) = found {
            let fix = format!("`{word}` is there on one machine only; take the path from outside");
            let (path, line) = (path.to_owned(), index + 1);
            mistakes.push(Mistake {
                path,
                line,
                rule: "no-machine-paths",
                fix,
            });
        }
    }
}

/// The map of the code names each module of the host.
fn mapped(files: &[(String, String)], mistakes: &mut Vec<Mistake>) {
    const MAP: &str = "ARCHITECTURE.md";
    let Some((_, map)) = files.iter().find(|(path, _)| path == MAP) else {
        return;
    };
    let modules = files
        .iter()
        .filter_map(|(path, _)| host_path(path)?.strip_suffix(".rs"));
    for module in modules.filter(|module| !module.contains('/')) {
        if !map.split(|c: char| !is_word(c)).any(|word| word == module) {
            let fix = format!("say what host/src/{module}.rs owns");
            mistakes.push(Mistake {
                path: MAP.to_owned(),
                line: 1,
                rule: "map",
                fix,
            });
        }
    }
}

fn host_path(path: &str) -> Option<&str> {
    path.strip_prefix("host/src/")
}

/// `cli` is `cli.rs` and everything in `cli/`, but not `clients.rs`.
fn is_place(inside: &str, place: &str) -> bool {
    inside
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// Test guests are programs: one that sleeps is how a deadline is tested.
fn is_guest(path: &str) -> bool {
    path.starts_with("tests/guests/")
}

fn is_test_file(path: &str) -> bool {
    let in_directory = path.starts_with("tests/") || path.contains("/tests/");
    let named = path.ends_with("/tests.rs") || path.ends_with("_tests.rs");
    (in_directory || named) && !is_guest(path)
}

/// Without its comment.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

/// Whether the word stands there as a path's beginning or end, not within another name.
fn uses(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let inside_a_name = word.ends_with(is_word) && after.starts_with(is_word);
        let is_submodule = word.starts_with("notify") && before.ends_with("::");
        !before.ends_with(is_word) && !inside_a_name && !is_submodule
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
