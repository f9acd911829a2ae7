//! Text of a file, YAML or JSON, as a tree of JSON values. No whole number loses a digit on the way:
//! one that would is a mistake. Fractions are what 64 bits of floating point keep of them. Pure.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Whole numbers beyond are not all exact in 64 bits of floating point.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value of the file.
struct Tree(Value);

struct TreeVisitor;

/// Reads the text of a file; an empty one is `null`.
///
/// # Errors
/// What the parser says, with line and column.
pub(super) fn read(text: &str) -> Result<Value, String> {
    match serde_saphyr::from_str::<Tree>(text) {
        Ok(Tree(value)) => Ok(value),
        Err(error) => {
            let text = error.to_string();
            Err(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tree, D::Error> {
        from.deserialize_any(TreeVisitor)
    }
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value as JSON has them")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        Tree::deserialize(from)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        if value.fract() == 0.0 && value.abs() > EXACT_MAX {
            return Err(E::custom(
                "a number this large would lose digits: write the data as text, under `json`",
            ));
        }
        let number = serde_json::Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom("JSON has no such number"))?;
        Ok(Tree(number.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(value)) = from.next_element()? {
            list.push(value);
        }
        Ok(Tree(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut map = Map::new();
        while let Some((key, Tree(value))) = from.next_entry::<String, Tree>()? {
            map.insert(key, value);
        }
        Ok(Tree(map.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    fn check(text: &str, expected: &str) {
        let read = read(text).map_or_else(|error| error, |value| value.to_string());
        assert!(read.starts_with(expected), "{text}: {read}");
    }

    #[test]
    fn values_are_those_of_json() {
        check(
            "{a: 1, b: -2, c: 1.5, d: [yes, 'x', ~]}",
            r#"{"a":1,"b":-2,"c":1.5,"d":["#,
        );
        check("18446744073709551615", "18446744073709551615");
        check(r#"{"\ud83d\ude80": "\u00eb"}"#, r#"{"🚀":"ë"}"#);
        check("", "null");
        check("2026-01-01T00:00:00Z", r#""2026-01-01T00:00:00Z""#);
    }

    #[test]
    fn a_whole_number_never_loses_a_digit() {
        for large in ["12345678901234567890123", "-12345678901234567890123"] {
            let error = read(large).unwrap_err();
            assert!(error.contains("under `json`"), "{error}");
        }
    }

    #[test]
    fn a_fraction_is_what_64_bits_keep() {
        check("0.12345678901234567890123", "0.12345678901234568");
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let error = read("- a: 1\n  a: 2\n").unwrap_err();
        assert!(error.contains("line 2"), "{error}");
        assert!(read("a: [1").is_err());
        // A bomb of aliases is refused, not unfolded.
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        assert!(read(&bomb).is_err());
    }
}
