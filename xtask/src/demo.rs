//! Shows the host at work: starts `conche dev` on the example plugins, sends a query and an event
//! as any HTTP client would, and prints what came of them. It knows the host from outside only.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{guests, languages, workspace::Workspace};

use self::host::Host;

mod host;
mod http;

/// From the event to what the auditor emits for it.
const FOLLOW_UP_DEADLINE: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

const EVENT_ID: &str = "demo-event-1";
const FOLLOW_UP_TYPE: &str = "org.cyverse.events.AuditRecorded";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let once = match arguments {
        [] => false,
        [flag] if flag == "--once" => true,
        _ => bail!("usage: cargo xtask demo [--once]"),
    };
    let built = guests::build(workspace)?;
    let mut host = Host::start(&languages::debug_conche(workspace)?, &built.plugins)?;
    let gateway = host.wait_until_ready()?;
    let shown = show(gateway);
    if once || shown.is_err() {
        let stopped = host.stop();
        return shown.and(stopped);
    }
    print_what_to_try(gateway);
    host.wait()
}

fn show(gateway: SocketAddr) -> Result<()> {
    let query = json!({
        "specversion": "1.0", "id": "demo-query-1", "source": "/demo",
        "type": "cyverse.greeter.Greet", "datacontenttype": "application/json",
        "data": {"name": "Ada"},
    });
    print("query", "POST /query", &query);
    let answer = http::post_event(gateway, "/query", &query)?.json()?;
    print("answer", "", &answer);
    let expected = json!({"greeting": "Hello, Ada!"});
    ensure!(
        answer["data"] == expected,
        "the answer's data should be {expected}"
    );

    let event = json!({
        "specversion": "1.0", "id": EVENT_ID, "source": "/demo",
        "type": "org.cyverse.events.GreetingRequested", "datacontenttype": "application/json",
        "data": {"name": "Ada"},
    });
    print("event", "POST /event", &event);
    print(
        "stored",
        "",
        &http::post_event(gateway, "/event", &event)?.json()?,
    );
    print("follow-up", "GET /events", &follow_up(gateway)?);
    Ok(())
}

/// What the auditor emitted for our event, once it is on the bus.
fn follow_up(gateway: SocketAddr) -> Result<Value> {
    let deadline = Instant::now() + FOLLOW_UP_DEADLINE;
    loop {
        for event in http::get(gateway, "/events")?.json_lines()? {
            if event["type"] == FOLLOW_UP_TYPE && event["data"]["id"] == EVENT_ID {
                return Ok(event);
            }
        }
        if Instant::now() > deadline {
            bail!("no {FOLLOW_UP_TYPE} within {FOLLOW_UP_DEADLINE:?}");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn print(what: &str, how: &str, event: &Value) {
    let pretty = serde_json::to_string_pretty(event).unwrap_or_else(|_| event.to_string());
    println!("\n{}\n{pretty}", format!("-- {what} {how}").trim_end());
}

fn print_what_to_try(gateway: SocketAddr) {
    println!(
        r#"
The host stays up; Ctrl-C ends it. Try, from another terminal:

curl -s http://{gateway}/query -H 'Content-Type: application/cloudevents+json' -d '{{
  "specversion": "1.0", "id": "1", "source": "/me", "type": "cyverse.greeter.Greet",
  "data": {{"name": "Grace"}}}}'

curl -s http://{gateway}/event -H 'Content-Type: application/cloudevents+json' -d '{{
  "specversion": "1.0", "id": "2", "source": "/me", "type": "org.cyverse.events.GreetingRequested",
  "data": {{"name": "Grace"}}}}'

curl -s http://{gateway}/events
"#
    );
}

/// The address in `ready gateway=http://ADDRESS`; nothing if it is another line.
fn gateway_of(line: &str) -> Result<Option<SocketAddr>> {
    let mut words = line.split_whitespace();
    if words.next() != Some("ready") {
        return Ok(None);
    }
    let url = words.find_map(|word| word.strip_prefix("gateway=http://"));
    let address = url.with_context(|| format!("no gateway in `{line}`"))?;
    let address = address.trim_end_matches('/').parse();
    Ok(Some(
        address.with_context(|| format!("no address in `{line}`"))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::gateway_of;

    #[test]
    fn the_ready_line_names_the_gateway() {
        let address = |line| gateway_of(line).unwrap().map(|address| address.to_string());
        assert_eq!(
            address("ready gateway=http://127.0.0.1:80"),
            Some("127.0.0.1:80".to_owned())
        );
        assert_eq!(address("loaded greeter"), None);
        assert_eq!(address("already gateway=http://127.0.0.1:80"), None);
        assert!(gateway_of("ready").is_err());
    }
}
