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
    use super::*;

    #[test]
    fn greets_by_name() {
        let greeting = greet(Ask { name: "Ada".into() }).unwrap().greeting;
        assert_eq!(greeting, "Hello, Ada!");
    }
}
