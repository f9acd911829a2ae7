//! Exports `query-handler` as the contract has it, but no `lifecycle`: nothing could register it.
#![allow(unsafe_code, clippy::allow_attributes, reason = "generated exports")]

wit_bindgen::generate!({
    path: "../../../wit",
    generate_all,
    inline: "
        package odd:two;
        world odd { export conche:handler/query-handler@0.1.0; }
    ",
});

use exports::conche::handler::query_handler::{Event, Fault, Guest, Matched, Reply};

struct Odd;

impl Guest for Odd {
    fn handle(_matched: Matched, _query: Event) -> Result<Option<Reply>, Fault> {
        Ok(None)
    }
}

export!(Odd);
