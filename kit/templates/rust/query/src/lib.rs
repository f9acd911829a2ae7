//! Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out.

use conche_guest::Fault;

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

conche_guest::plugin! { reusable, query "cyverse.{{name}}.Greet" => greet }
