//! The data on a command line: one JSON value, written there or read from stdin.

use std::io::{IsTerminal as _, Read as _, stdin};

use anyhow::Context as _;
use serde_json::value::RawValue;

use super::log;

/// What stands for stdin.
const STDIN: &str = "-";

/// The text of one JSON value, as it was written.
#[derive(Debug, Clone)]
pub(super) struct Json(pub(super) String);

/// Where the data is.
#[derive(Debug, Clone)]
pub(super) enum Data {
    Here(Json),
    Stdin,
}

/// Reads an argument.
pub(super) fn json(text: &str) -> Result<Json, String> {
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("no JSON value: {error}"))?;
    Ok(Json(value.get().to_owned()))
}

/// Reads an argument that may stand for stdin.
pub(super) fn data(text: &str) -> Result<Data, String> {
    match text {
        STDIN => Ok(Data::Stdin),
        text => json(text).map(Data::Here),
    }
}

impl Data {
    /// The JSON that an argument is, or that stdin has if there is none.
    pub(super) fn read(given: Option<Data>) -> anyhow::Result<Json> {
        if let Some(Data::Here(json)) = given {
            return Ok(json);
        }
        if stdin().is_terminal() {
            log::say("reading one JSON value from the terminal; end it with Ctrl-D");
        }
        let mut text = String::new();
        let read = stdin().read_to_string(&mut text);
        read.context("cannot read the data from stdin")?;
        json(&text).map_err(|error| anyhow::anyhow!("stdin has {error}"))
    }
}
