//! Finds the files of cases and reads them; all their mistakes come at once.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::case::{self, Case};
use super::tree;

/// The cases of one file.
#[derive(Debug)]
pub struct Cases {
    /// As it was found, for people.
    pub file: String,
    /// In the order in which they are written.
    pub cases: Vec<Case>,
}

/// Why there are no cases to run.
#[derive(Debug, Error)]
pub enum FilesError {
    /// Nothing is there.
    #[error("no cases in `{}`: write one as {}", dir.display(), dir.join("NAME.yaml").display())]
    None {
        /// Where they were looked for.
        dir: PathBuf,
    },
    /// Files are there, and none has a case.
    #[error("no case in {0}")]
    Empty(String),
    /// The file system's word.
    #[error("cannot read `{}`: {reason}", path.display())]
    Unreadable {
        /// What it was.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// A line each, with file and case.
    #[error("{}", .0.join("\n"))]
    Mistakes(Vec<String>),
}

impl Cases {
    /// The cases of every `*.yaml`, `*.yml` and `*.json` of a directory, in the order of their names.
    ///
    /// # Errors
    /// [`FilesError`]
    pub fn find(dir: &Path) -> Result<Vec<Cases>, FilesError> {
        let mut files = Vec::new();
        let unreadable = |path: &Path, reason| FilesError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(FilesError::None {
                    dir: dir.to_owned(),
                });
            }
            Err(error) => return Err(unreadable(dir, error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| unreadable(dir, error))?.path();
            let extension = path.extension().and_then(|e| e.to_str());
            if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(FilesError::None {
                dir: dir.to_owned(),
            });
        }
        let (mut all, mut mistakes) = (Vec::new(), Vec::new());
        for path in files {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let file = path.display().to_string();
            match read(&text) {
                Ok(cases) => all.push(Cases { file, cases }),
                Err(found) => mistakes.extend(found.into_iter().map(|m| format!("{file}: {m}"))),
            }
        }
        if !mistakes.is_empty() {
            return Err(FilesError::Mistakes(mistakes));
        }
        if all.iter().all(|cases| cases.cases.is_empty()) {
            let files: Vec<_> = all.iter().map(|c| format!("`{}`", c.file)).collect();
            return Err(FilesError::Empty(files.join(", ")));
        }
        Ok(all)
    }
}

fn read(text: &str) -> Result<Vec<Case>, Vec<String>> {
    case::read_all(tree::read(text).map_err(|error| vec![error])?)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mistakes = read(text).err().unwrap_or_default();
        assert_eq!(mistakes, expected, "{text}");
    }

    #[test]
    fn every_key_of_the_format_is_read() {
        let text = r#"
- name: all of it
  event: a.b
  data: {"a": [1, 2.5, null]}
  id: i
  source: /s
  subject: s
  time: "2026-01-01T00:00:00Z"
  datacontenttype: application/json
  dataschema: "https://example.com/schema"
  transaction-id: t
  extensions: { a: 1, b: true, c: text }
  attempt: 2
  config: { a: text, b: 1, c: true }
  clock: "2026-01-01T00:00:00Z"
  answers:
    - { query: q, data: {}, reply: { data: 1, type: t, subject: s, extensions: { e: 1 } } }
    - { query: q, fault: { code: 404, message: m, details: [] } }
    - { query: q, error: busy }
  exchanges:
    - { event: e, answer: { type: t, data: 1 } }
    - { event: e, error: timed-out }
  expect:
    any-of:
      - done: true
        emits: [{ type: t, subject: s, key: k, data: 1, transaction-id: x, extensions: { e: 1 } }]
        listeners: [{ add: { handler: h, types: [a], once: true } }, { remove: id }]
        log: [{ level: info, message: m, fields: { f: 1 } }]
      - retry: { message: m, after-ms: 1 }
      - reject: { code: 400, message: m, details: 1 }
      - failure: { kind: cpu, message: m }
- { name: query, query: q, json: "[12345678901234567890123]", expect: { reply: { json: "[1]" } } }
- { name: text, query: q, text: t, expect: { fault: { code: 1 } } }
- { name: bytes, query: q, base64: AAEC, expect: { no-answer: true } }
- { name: heard, listener: h, type: t, state: s, expect: { done: true } }
"#;
        check(text, &[]);
        assert_eq!(read(text).unwrap().len(), 5);
    }

    #[test]
    fn all_mistakes_come_at_once_each_with_its_case() {
        check(
            "- { name: a, query: q, date: 1, expect: { replay: {} } }\n- { query: q, event: e }",
            &[
                "case `a`: `expect` needs exactly one of reply, fault, no-answer, failure, refused: what the handler comes to",
                "case `a`: `expect.replay` is no key here: did you mean `reply`?",
                "case `a`: `date` is no key here: did you mean `data`?",
                "case 2: `name` is missing: say in a few words what the case shows",
                "case 2: it needs exactly one of `query`, `event` and `listener`: what comes in",
                "case 2: `expect` is missing: say what must come of it",
            ],
        );
        check(
            "- { name: a, query: q, data: 1, text: t, attempt: 2, expect: { done: true } }",
            &[
                "case `a`: `attempt` is for events: a query comes once",
                "case `a`: it has data and text, which stand side by side: a message has one payload, so keep one of them",
                "case `a`: `expect.done` is nothing that a query can come to: reply, fault, no-answer, failure, refused",
                "case `a`: `expect` needs exactly one of reply, fault, no-answer, failure, refused: what the handler comes to",
            ],
        );
        check(
            "- { name: a, event: e, json: '{', clock: noon, expect: { done: false, log: [{ level: 1 }] } }",
            &[
                "case `a`: `clock` is `noon`, no time such as 2026-01-01T00:00:00Z",
                "case `a`: `json` is not the text of one JSON value",
                "case `a`: `expect.done` can only be true; delete it, or say what comes instead",
                "case `a`: `expect.log[0].level` is 1, not text: quote it",
            ],
        );
        check(
            "- { name: a, event: e, expect: { failure: { kind: memory } } }\n- { name: a, event: e, expect: { done: true } }",
            &[
                "case `a`: `expect.failure.kind` is `memory`, none of panicked, trapped, deadline, cpu, out-of-memory, out-of-handles, stack-overflow, too-much-at-once, exited, misused, no-room, not-started",
                "case `a`: has the name of a case above: give it another",
            ],
        );
        check(
            "- { name: a, query: q, answers: [{ query: p, error: gone }, {}], expect: { reply: { subject: '${none}' } } }",
            &[
                "case `a`: `answers[0].error` is `gone`, none of no-responders, timed-out, busy",
                "case `a`: `answers[1].query` is missing: the op that is asked",
                "case `a`: `answers[1]` needs exactly one of `reply`, `fault` and `error`",
                "case `a`: `expect.reply.subject` has `${none}`, which is none of `${any}`, `${matches:REGEX}`, `${same:NAME}`",
            ],
        );
        check(
            "cases: []",
            &["it is no list of cases: begin each with `- name:`"],
        );
    }
}
