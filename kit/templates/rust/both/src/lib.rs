//! Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out. Hears
//! `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.

use conche_guest::{Draft, EventError, Fault, emit};

#[derive(serde::Deserialize)]
struct Ask {
    name: String,
}

#[derive(serde::Serialize)]
struct Greeting {
    greeting: String,
}

fn greet(Ask { name }: Ask) -> Result<Greeting, Fault> {
    Ok(Greeting {
        greeting: format!("Hello, {name}!"),
    })
}

fn say(ask: Ask) -> Result<(), EventError> {
    emit(Draft::new("org.cyverse.events.Greeted").json(&greet(ask)?)?)?;
    Ok(())
}

conche_guest::plugin! {
    reusable,
    query "cyverse.{{name}}.Greet" => greet,
    event "org.cyverse.events.GreetingRequested" => say,
}
