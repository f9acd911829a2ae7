//! Answers the query `cyverse.greeter.Greet`: `{"name": …}` in, `{"greeting": …}` out.

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

conche_guest::plugin! { reusable, query "cyverse.greeter.Greet" => greet }

#[cfg(test)]
mod tests {
    use conche_guest::testing::{Host, Incoming, Value, json};

    use super::*;

    #[test]
    fn greets_by_name() {
        let query = Incoming::new("cyverse.greeter.Greet").json(&json!({ "name": "Ada" }));
        let outcome = Host::new().query(greet, query);
        let greeting = json!({ "greeting": "Hello, Ada!" });
        assert_eq!(outcome.reply::<Value>(), greeting);
    }

    #[test]
    fn a_name_is_needed() {
        let query = Incoming::new("cyverse.greeter.Greet").json(&json!({}));
        let outcome = PLUGIN.query(&mut Host::new(), query);
        assert_eq!(outcome.fault().code, 400);
    }
}
