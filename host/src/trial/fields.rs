//! Reading the keys of one mapping: each is asked for by name, what is left over is a mistake. All
//! mistakes are kept, each with the way to it. Pure.

use serde_json::{Map, Value};

use crate::settings::nearest;

/// A mapping that is being read.
#[derive(Debug)]
pub(super) struct Fields<'m> {
    /// The way to it, such as `expect.reply`.
    path: String,
    map: Map<String, Value>,
    /// Asked for so far, for whoever misspelt one.
    known: Vec<&'static str>,
    mistakes: &'m mut Vec<String>,
}

impl<'m> Fields<'m> {
    /// The value's keys; if it has none, that is the mistake.
    pub(super) fn of(path: &str, value: Value, mistakes: &'m mut Vec<String>) -> Fields<'m> {
        let map = match value {
            Value::Object(map) => map,
            other => {
                let what = kind(&other);
                mistakes.push(at(path, &format!("is {what}, not keys with values")));
                Map::new()
            }
        };
        Fields {
            path: path.to_owned(),
            map,
            known: Vec::new(),
            mistakes,
        }
    }

    /// The value of a key, `null` included.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.map.remove(key)
    }

    /// Text; `null` is as good as absent.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => {
                self.wrong(key, &format!("is {}, not text: quote it", kind(&other)));
                None
            }
        }
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, key: &'static str) -> Option<u32> {
        let value = self.value(key)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.wrong(key, &format!("is {value}, not a whole number"));
        }
        number
    }

    /// A list; absent is empty.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Value> {
        match self.value(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong(key, &format!("is {}, not a list", kind(&other)));
                Vec::new()
            }
        }
    }

    /// Names with their values; absent is empty.
    pub(super) fn map(&mut self, key: &'static str) -> Map<String, Value> {
        match self.value(key) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(other) => {
                self.wrong(key, &format!("is {}, not names with values", kind(&other)));
                Map::new()
            }
        }
    }

    /// A mapping below a key.
    pub(super) fn below(&mut self, key: &'static str, value: Value) -> Fields<'_> {
        Fields::of(&self.way(key), value, self.mistakes)
    }

    /// One of a list below a key.
    pub(super) fn entry(&mut self, key: &'static str, index: usize, value: Value) -> Fields<'_> {
        let path = format!("{}[{index}]", self.way(key));
        Fields::of(&path, value, self.mistakes)
    }

    /// Which of these keys are there.
    pub(super) fn present(&self, keys: &[&'static str]) -> Vec<&'static str> {
        let there = |key: &&&str| self.map.contains_key(**key);
        keys.iter().filter(there).copied().collect()
    }

    /// The way to a key.
    pub(super) fn way(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    /// Notes what is wrong with a key, or with the whole if that is empty. Reads on after its name.
    pub(super) fn wrong(&mut self, key: &str, what: &str) {
        self.mistakes.push(at(&self.way(key), what));
    }

    /// Notes each key that nobody asked for.
    pub(super) fn finish(mut self) {
        for key in std::mem::take(&mut self.map)
            .into_iter()
            .map(|(key, _)| key)
        {
            let known = self.known.iter().copied();
            let hint = match nearest(&key, known) {
                Some(meant) => format!("is no key here: did you mean `{meant}`?"),
                None => format!("is no key here; there are {}", self.known.join(", ")),
            };
            self.wrong(&key, &hint);
        }
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "keys with values",
    }
}

fn at(path: &str, what: &str) -> String {
    if path.is_empty() {
        format!("it {what}")
    } else {
        format!("`{path}` {what}")
    }
}
