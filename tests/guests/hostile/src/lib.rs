//! Everything a plugin should not do. The last part of the op, or of the event's type, says what:
//! `cyverse.hostile.NAME` and `org.cyverse.events.hostile.NAME`, with the names of `BEHAVIOURS`
//! (see `behave`); what behaves after all answers `{"survived": NAME, "note": …}`. Data may say
//! `{"bytes": n}` or `{"count": n}`.
//!
//! Configuration `register` says how it registers: see `register`.

mod behave;

use conche_guest::{Draft, Event, EventError, Fault, Query, Registration, Reply, config, emit};

fn query(Query { envelope, .. }: Query) -> Result<Reply, Fault> {
    let amount = envelope
        .parse::<Option<behave::Amount>>()?
        .unwrap_or_default();
    behave::behave(last_part(&envelope.type_), amount)
}

fn event(Event { envelope, .. }: Event) -> Result<(), EventError> {
    let amount = envelope
        .parse::<Option<behave::Amount>>()?
        .unwrap_or_default();
    behave::behave(last_part(&envelope.type_), amount)?;
    Ok(())
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The registrations of a full table, and then what `register` in the configuration says.
fn register(registration: &mut Registration) -> Result<(), String> {
    for name in behave::BEHAVIOURS {
        registration.query("query", &format!("cyverse.hostile.{name}"));
        registration.event("event", &[format!("org.cyverse.events.hostile.{name}")]);
    }
    let how = config::get("register").unwrap_or_else(|| "ok".to_owned());
    match how.as_str() {
        "ok" => {}
        "reusable" => registration.reusable(),
        "err" => return Err("the configuration said so".to_owned()),
        "long-err" => return Err("x".repeat(1 << 20)),
        "panic" => panic!("panicked in register, as the configuration said"),
        "trap" => behave::trap(),
        "loop" => behave::spin(),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "allocate" => behave::allocate(),
        "flood" => {
            for number in 0..100_000 {
                registration.query("query", &format!("cyverse.hostile.flood.{number}"));
            }
        }
        "duplicate" => registration.query("query", "cyverse.hostile.Loop"),
        "outside-namespace" => registration.query("query", "org.elsewhere.Do"),
        "reserved" => registration.query("query", "$JS.API.STREAM.NAMES"),
        "wildcard" => registration.query("query", "cyverse.hostile.>"),
        "empty" => registration.query("query", ""),
        "long" => registration.query("query", &format!("cyverse.{}", "x".repeat(100_000))),
        // One buffer of the guest's is a name after the other of the host's.
        "names" => {
            let mut name = "x".repeat(1 << 20);
            for first in 'a'..='z' {
                name.replace_range(..1, first.encode_utf8(&mut [0; 4]));
                registration.query(&name, "cyverse.hostile.Named");
            }
        }
        "unstreamed" => registration.event("event", &["com.example.Nowhere"]),
        "any-query" => registration.any_query("query"),
        "any-event" => registration.any_event("event"),
        "emit" => {
            // Only registration, config and log work here; the text shows what emit answered.
            let answer = emit(Draft::new("org.cyverse.events.hostile.Registered"));
            return Err(format!("emit in register answered {answer:?}"));
        }
        other => return Err(format!("unknown way to register: {other}")),
    }
    Ok(())
}

conche_guest::plugin! {
    query [] => query,
    event [] => event,
    register => register,
}
