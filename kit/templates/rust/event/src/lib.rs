//! Hears `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.

use conche_guest::{Draft, EventError, emit};

#[derive(serde::Deserialize)]
struct Ask {
    name: String,
}

#[derive(serde::Serialize)]
struct Greeting {
    greeting: String,
}

fn say(Ask { name }: Ask) -> Result<(), EventError> {
    let greeting = Greeting {
        greeting: format!("Hello, {name}!"),
    };
    emit(Draft::new("org.cyverse.events.Greeted").json(&greeting)?)?;
    Ok(())
}

conche_guest::plugin! { reusable, event "org.cyverse.events.GreetingRequested" => say }
