//! The `[config]` of the plugin's policy. Always granted; it does not change while a version runs.

use std::fmt::Display;
use std::str::FromStr;

use thiserror::Error;

use crate::errors::{EventError, Fault};
use crate::host::config as host;

/// The value of one key.
pub fn get(key: &str) -> Option<String> {
    host::get(key)
}

/// Every key that has a value.
pub fn keys() -> Vec<String> {
    host::keys()
}

/// The value of one key as a number, a duration, whatever [`FromStr`] reads; none without the key.
///
/// # Errors
/// When the value is there but cannot be read.
pub fn parse<T: FromStr<Err: Display>>(key: &str) -> Result<Option<T>, ConfigError> {
    get(key).map(|value| read(key, &value)).transpose()
}

fn read<T: FromStr<Err: Display>>(key: &str, value: &str) -> Result<T, ConfigError> {
    value.parse().map_err(|error: T::Err| ConfigError {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

/// A value in `[config]` that cannot be read. Read the configuration in `register` as well, and the
/// host refuses the plugin with this text instead of failing its first call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{key}` in [config]: {reason}")]
pub struct ConfigError {
    pub key: String,
    pub reason: String,
}

impl From<ConfigError> for Fault {
    fn from(error: ConfigError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<ConfigError> for EventError {
    fn from(error: ConfigError) -> Self {
        Self::retry(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_names_its_key() {
        assert_eq!(read::<u8>("retries", "3"), Ok(3));
        let error = read::<u8>("retries", "300").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`retries` in [config]: number too large to fit in target type"
        );
    }
}
