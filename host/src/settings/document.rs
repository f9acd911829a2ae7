//! A TOML file that is read key by key: each value knows its line, and a key that nobody asked
//! for is a mistake. `-` and `_` are the same in a key.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ByteSize, Mistakes, Origin, Problem, Written, nearest, parse_bytes, parse_duration};
use crate::subject::{SubjectPattern, is_reserved};

const STRING: &str = "string: put it in quotes";
const STRINGS: &str = "list of strings";
const BOOLEAN: &str = "boolean: write true or false";
const WHOLE: &str = "whole number";
const NUMBER: &str = "number";
const DURATION: &str = "duration: write a number and a unit, such as \"250ms\", \"5s\" or \"2m\"";
const BYTES: &str = "size: write a number of bytes, or a unit as in \"64MiB\"";
const SECTION: &str = "section";

/// A file as parsed, and the mistakes found in it so far.
#[derive(Debug)]
pub struct Document<'t> {
    file: String,
    lines: Lines,
    root: Spanned<DeTable<'t>>,
    mistakes: RefCell<Mistakes>,
}

/// One table of a [`Document`], perhaps one that is not there: then every key is absent.
#[derive(Debug)]
pub struct Section<'d> {
    document: &'d Document<'d>,
    path: String,
    table: Option<&'d DeTable<'d>>,
    asked: Vec<&'static str>,
}

/// Where the lines of a text end: each value asks for its line, and there may be many.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl<'t> Document<'t> {
    /// Parses the text. `file` is what its origins will say.
    ///
    /// # Errors
    /// Every mistake of syntax; what else may be wrong can't be told then.
    pub fn parse(file: &str, text: &'t str) -> Result<Document<'t>, Mistakes> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let lines = Lines::of(text);
        let mut mistakes = Mistakes::default();
        for error in errors {
            let origin = Origin::File {
                file: file.to_owned(),
                line: lines.at(error.span().unwrap_or(0..0).start),
            };
            mistakes.add(
                origin,
                "",
                Problem::Syntax(error.message().replace('\n', ", ")),
            );
        }
        let mistakes = RefCell::new(mistakes.finish(Mistakes::default())?);
        Ok(Document {
            file: file.to_owned(),
            lines,
            root,
            mistakes,
        })
    }

    /// Reads the whole file: `read` asks for the keys, what it does not ask for is a mistake.
    pub fn read<'d, T>(&'d self, read: impl FnOnce(&mut Section<'d>) -> T) -> T {
        let table = Some(self.root.get_ref());
        Section {
            document: self,
            path: String::new(),
            table,
            asked: vec![],
        }
        .read(read)
    }

    /// What was wrong.
    pub fn into_mistakes(self) -> Mistakes {
        self.mistakes.into_inner()
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        Origin::File {
            file: self.file.clone(),
            line: self.lines.at(span.start),
        }
    }
}

impl Lines {
    fn of(text: &str) -> Lines {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Lines(breaks.map(|(at, _)| at).collect())
    }

    /// The line of a byte, counted from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

impl<'d> Section<'d> {
    /// A table in this one.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'d>) -> T) -> T {
        let path = self.path_of(key);
        let found = self.value(key, |value| match value {
            DeValue::Table(table) => Ok(table),
            other => Err(wanted(SECTION, other)),
        });
        let table = found.map(|table| table.value);
        Section {
            document: self.document,
            path,
            table,
            asked: vec![],
        }
        .read(read)
    }

    /// Every key and value, whatever their names.
    pub fn entries(&mut self) -> Vec<(String, Written<String>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table.into_iter().flatten() {
            let origin = self.document.origin(key.span());
            match scalar(value.get_ref()) {
                Some(text) => {
                    entries.push((key.get_ref().to_string(), Written::new(text, origin)));
                }
                None => self.mistake(origin, key.get_ref(), wanted(STRING, value.get_ref())),
            }
        }
        self.table = None;
        entries
    }

    /// A string.
    pub fn string(&mut self, key: &'static str) -> Option<Written<String>> {
        self.value(key, |value| text(value).map(str::to_owned))
    }

    /// A string that `parse` understands.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Written<T>> {
        self.value(key, |value| parse(text(value)?))
    }

    /// A string, or a list of them.
    pub fn strings(&mut self, key: &'static str) -> Option<Written<Vec<String>>> {
        self.value(key, |value| {
            Ok(texts(value)?.into_iter().map(str::to_owned).collect())
        })
    }

    /// A subject pattern, or a list of them; none may be reserved. What is no pattern is left out, so
    /// that what is can be checked further.
    pub fn subjects(&mut self, key: &'static str) -> Option<Written<Vec<SubjectPattern>>> {
        let read = self.value(key, |value| {
            Ok(texts(value)?.into_iter().map(pattern).collect::<Vec<_>>())
        })?;
        let mut patterns = Vec::new();
        for result in read.value {
            match result {
                Ok(pattern) => patterns.push(pattern),
                Err(problem) => self.mistake(read.origin.clone(), key, problem),
            }
        }
        Some(Written::new(patterns, read.origin))
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str) -> Option<Written<bool>> {
        self.value(key, |value| {
            value.as_bool().ok_or_else(|| wanted(BOOLEAN, value))
        })
    }

    /// A whole number within a range.
    pub fn whole(&mut self, key: &'static str, least: u64, most: u64) -> Option<Written<u64>> {
        self.value(key, |value| within(whole(value)?, value, least, most))
    }

    /// A number within a range.
    pub fn number(&mut self, key: &'static str, least: f64, most: f64) -> Option<Written<f64>> {
        self.value(key, |value| {
            let number = match value {
                DeValue::Float(float) => float.as_str().parse().ok(),
                DeValue::Integer(i) => i32::from_str_radix(i.as_str(), i.radix())
                    .ok()
                    .map(f64::from),
                _ => None,
            };
            let number: f64 = number.ok_or_else(|| wanted(NUMBER, value))?;
            if (least..=most).contains(&number) {
                return Ok(number);
            }
            Err(Problem::Range {
                found: number.to_string(),
                range: format!("{least} to {most}"),
            })
        })
    }

    /// A duration with its unit.
    pub fn duration(&mut self, key: &'static str) -> Option<Written<Duration>> {
        self.value(key, |value| {
            value
                .as_str()
                .and_then(parse_duration)
                .ok_or_else(|| wanted(DURATION, value))
        })
    }

    /// A number of bytes.
    pub fn bytes(&mut self, key: &'static str) -> Option<Written<u64>> {
        self.value(key, bytes)
    }

    /// A number of bytes within a range.
    pub fn bytes_within(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<Written<u64>> {
        self.value(key, |value| {
            let found = bytes(value)?;
            if range.contains(&found) {
                return Ok(found);
            }
            let (least, most) = (ByteSize(*range.start()), ByteSize(*range.end()));
            Err(Problem::Range {
                found: ByteSize(found).to_string(),
                range: match most.0 {
                    u64::MAX => format!("at least {least}"),
                    _ => format!("{least} to {most}"),
                },
            })
        })
    }

    /// Any value, read by `read`.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Problem>,
    ) -> Option<Written<T>> {
        self.asked.push(key);
        let mut found = self
            .table?
            .iter()
            .filter(|(k, _)| same_key(k.get_ref(), key));
        let (_, value) = found.next()?;
        if let Some((_, again)) = found.next() {
            let later = again.span().start.max(value.span().start);
            self.mistake(self.document.origin(later..later), key, Problem::Twice);
        }
        let origin = self.document.origin(value.span());
        match read(value.get_ref()) {
            Ok(value) => Some(Written::new(value, origin)),
            Err(problem) => {
                self.mistake(origin, key, problem);
                None
            }
        }
    }

    /// Notes a mistake that only the asker can see.
    pub fn mistake(&self, origin: Origin, key: &str, problem: impl Into<Problem>) {
        self.document
            .mistakes
            .borrow_mut()
            .add(origin, self.path_of(key), problem);
    }

    fn read<T>(mut self, read: impl FnOnce(&mut Section<'d>) -> T) -> T {
        let value = read(&mut self);
        for (key, _) in self.table.into_iter().flatten() {
            if !self
                .asked
                .iter()
                .any(|asked| same_key(asked, key.get_ref()))
            {
                let hint = match nearest(key.get_ref(), self.asked.iter().copied()) {
                    Some(near) => format!(", did you mean `{near}`?"),
                    None => format!(": there are {}", self.asked.join(", ")),
                };
                let origin = self.document.origin(key.span());
                self.mistake(origin, key.get_ref(), Problem::UnknownKey { hint });
            }
        }
        value
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// A pattern that may be granted, subscribed or stored.
pub(crate) fn pattern(text: &str) -> Result<SubjectPattern, Problem> {
    if is_reserved(text) {
        let why = "is reserved: what begins with `$`, `_INBOX.` or `conche.` belongs to the host";
        return Err(Problem::Other(format!("{text:?} {why}")));
    }
    Ok(text.parse::<SubjectPattern>()?)
}

fn same_key(a: &str, b: &str) -> bool {
    let folded = |b: u8| if b == b'-' { b'_' } else { b };
    a.len() == b.len() && a.bytes().map(folded).eq(b.bytes().map(folded))
}

fn wanted(wanted: &'static str, found: &DeValue<'_>) -> Problem {
    Problem::wanted(wanted, found)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(integer) => Some(integer.to_string()),
        DeValue::Float(float) => Some(float.to_string()),
        DeValue::Boolean(boolean) => Some(boolean.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn text<'d>(value: &'d DeValue<'_>) -> Result<&'d str, Problem> {
    value.as_str().ok_or_else(|| wanted(STRING, value))
}

fn texts<'d>(value: &'d DeValue<'_>) -> Result<Vec<&'d str>, Problem> {
    match value {
        DeValue::String(text) => Ok(vec![text]),
        DeValue::Array(list) => list.iter().map(|item| text(item.get_ref())).collect(),
        other => Err(wanted(STRINGS, other)),
    }
}

/// A number of bytes.
pub(crate) fn bytes(value: &DeValue<'_>) -> Result<u64, Problem> {
    match value {
        DeValue::String(text) => parse_bytes(text).ok_or_else(|| wanted(BYTES, value)),
        other => whole(other).map_err(|_| wanted(BYTES, other)),
    }
}

/// A whole number, in whichever base it is written.
pub(crate) fn whole(value: &DeValue<'_>) -> Result<u64, Problem> {
    match value {
        DeValue::Integer(i) => u64::from_str_radix(i.as_str(), i.radix()).ok(),
        _ => None,
    }
    .ok_or_else(|| wanted(WHOLE, value))
}

fn within(number: u64, value: &DeValue<'_>, least: u64, most: u64) -> Result<u64, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    let range = if most == u64::MAX || most == u64::from(u32::MAX) {
        format!("at least {least}")
    } else {
        format!("{least} to {most}")
    };
    Err(Problem::Range {
        found: scalar(value).unwrap_or_default(),
        range,
    })
}

#[cfg(test)]
mod tests;
