//! Takes every `org.cyverse.events.bench.Sunk`: reads its JSON and is done. What an event costs
//! then is the host's. `bench/src/native_events.rs` does the same in native Rust.

use conche_guest::EventError;

#[derive(serde::Deserialize)]
struct Sunk {
    number: u64,
    text: String,
}

fn sink(Sunk { number, text }: Sunk) -> Result<(), EventError> {
    // Used, so that reading it is not left out.
    std::hint::black_box((number, text));
    Ok(())
}

conche_guest::plugin! { reusable, event ["org.cyverse.events.bench.Sunk"] => sink }
