//! Lines in the host's log, which adds the plugin, its digest and the event's id. Always granted,
//! budgeted: what is over the budget is dropped and counted.
//!
//! ```no_run
//! # let (id, amount) = ("o-17", 12);
//! conche_guest::info!("order {id} created");
//! conche_guest::warn!(order = id, amount = amount; "amount not settled");
//! ```

use std::fmt::Display;

use crate::host::log as host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

/// Writes one line; the macros are shorter. Outside a host, in a plugin's own tests, to stderr.
pub fn write(level: Level, message: &str, fields: &[(&str, &dyn Display)]) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
        Level::Critical => host::Level::Critical,
    };
    let fields: Vec<host::Field> = fields
        .iter()
        .map(|(key, value)| host::Field {
            key: (*key).to_owned(),
            value: value.to_string(),
        })
        .collect();
    host::log(level, message, &fields);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $($key:ident = $value:expr),+ $(,)? ; $($message:tt)+) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($($message)+),
            &[$((::std::stringify!($key), &$value)),+],
        )
    };
    ($level:ident, $($message:tt)+) => {
        $crate::log::write($crate::log::Level::$level, &::std::format!($($message)+), &[])
    };
}

/// `trace!("text {value}")` or `trace!(key = value; "text")`.
#[macro_export]
macro_rules! trace { ($($line:tt)+) => { $crate::__log!(Trace, $($line)+) }; }

/// `debug!("text {value}")` or `debug!(key = value; "text")`.
#[macro_export]
macro_rules! debug { ($($line:tt)+) => { $crate::__log!(Debug, $($line)+) }; }

/// `info!("text {value}")` or `info!(key = value; "text")`.
#[macro_export]
macro_rules! info { ($($line:tt)+) => { $crate::__log!(Info, $($line)+) }; }

/// `warn!("text {value}")` or `warn!(key = value; "text")`.
#[macro_export]
macro_rules! warn { ($($line:tt)+) => { $crate::__log!(Warn, $($line)+) }; }

/// `error!("text {value}")` or `error!(key = value; "text")`.
#[macro_export]
macro_rules! error { ($($line:tt)+) => { $crate::__log!(Error, $($line)+) }; }

/// `critical!("text {value}")` or `critical!(key = value; "text")`.
#[macro_export]
macro_rules! critical { ($($line:tt)+) => { $crate::__log!(Critical, $($line)+) }; }
