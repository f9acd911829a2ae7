//! What a host has to be allowed to do, and what it means when it is not. Pure.

use super::{Finding, Wants};
use crate::config::{Auth, Config};
use crate::nats::{Act, Need, subject_within};

/// No plugin is called so: their names are lower-case.
const NOBODY: &str = "DOCTOR";

/// All that a host of this configuration does.
pub(super) fn needs(config: &Config, wants: &Wants, inbox: &str) -> Vec<Need> {
    let mut all = vec![
        need(Act::Subscribe, inbox, "_INBOX.>", "to get answers"),
        need(Act::Publish, inbox, "_INBOX.>", "to answer"),
    ];
    for (op, who) in &wants.ops {
        all.push(need(Act::Subscribe, op, op, &format!("to serve {who}")));
    }
    for pattern in config.nats.namespace.iter().map(ToString::to_string) {
        let to_serve = |who: &String| {
            let why = format!("to serve {who}");
            need(Act::Subscribe, &pattern, &pattern, &why)
        };
        all.extend(wants.any_query.iter().map(to_serve));
    }
    all.extend(of_events(config));
    let peers = format!("conche.peers.{}.>", config.events.stream);
    let why = "to leave an event to the host that handles its type";
    for act in [Act::Subscribe, Act::Publish] {
        all.push(need(act, &subject_within(&peers), &peers, why));
    }
    all
}

/// Streams, consumers, acknowledgements.
fn of_events(config: &Config) -> Vec<Need> {
    let stream = &config.events.stream;
    let durable = &config.events.durable;
    let mut all = Vec::new();
    let mut publish = |subject: &str, pattern: &str, why: &str| {
        all.push(need(Act::Publish, subject, pattern, why));
    };
    for pattern in config.events.subjects.iter().map(ToString::to_string) {
        let why = "to send what plugins emit";
        publish(&subject_within(&pattern), &pattern, why);
    }
    let letters = config.events.dead_letter_subject(">");
    publish(&subject_within(&letters), &letters, "to store dead letters");
    // One that was stored before its event was ended is met again: its plugin stands still until
    // the server shows it.
    let dead = config.events.dead_letter_stream();
    let unreadable = "to find events whose headers end the connection";
    for (stream, why) in [
        (&dead, "to know a dead letter that is stored already"),
        (stream, unreadable),
    ] {
        let get = format!("$JS.API.STREAM.MSG.GET.{stream}");
        publish(&get, &get, why);
    }
    for what in ["NAMES", "LIST"] {
        let subject = format!("$JS.API.STREAM.{what}");
        publish(&subject, &subject, "to see which stream takes what");
    }
    let verbs: &[&str] = match config.events.create {
        true => &["INFO", "CREATE"],
        false => &["INFO"],
    };
    for stream in [stream, &dead] {
        for verb in verbs {
            let subject = format!("$JS.API.STREAM.{verb}.{stream}");
            let why = "for the streams of events and dead letters";
            publish(&subject, &subject, why);
        }
    }
    let consumer = format!("{stream}.{durable}-{NOBODY}");
    for verb in ["INFO", "CREATE", "MSG.NEXT"] {
        let api = format!("$JS.API.CONSUMER.{verb}");
        let pattern = match verb {
            "CREATE" => format!("{api}.{stream}.>"),
            _ => format!("{api}.{stream}.*"),
        };
        publish(&format!("{api}.{consumer}"), &pattern, "to read events");
    }
    let list = format!("$JS.API.CONSUMER.LIST.{stream}");
    publish(&list, &list, "for doctor to look at consumers");
    let ack = format!("$JS.ACK.{consumer}.1.1.1.0.0");
    let acks = format!("$JS.ACK.{stream}.>");
    publish(&ack, &acks, "to acknowledge events");
    let flow = format!("$JS.FC.{stream}.>");
    let reading = "for listeners and exchanges to go on reading";
    publish(&subject_within(&flow), &flow, reading);
    let delete = format!("$JS.API.CONSUMER.DELETE.{stream}");
    let (one, all_of_them) = (format!("{delete}.{NOBODY}"), format!("{delete}.*"));
    publish(
        &one,
        &all_of_them,
        "to leave nothing behind when nobody listens",
    );
    all
}

fn need(act: Act, subject: &str, pattern: &str, why: &str) -> Need {
    Need {
        act,
        subject: subject.to_owned(),
        pattern: pattern.to_owned(),
        why: why.to_owned(),
    }
}

/// Whose permissions they are: the server knows no other name of a host.
fn who(auth: &Auth) -> String {
    match auth {
        Auth::None => "who does not log in".to_owned(),
        Auth::UserPassword { user, .. } => format!("user `{user}`"),
        Auth::Token(_) => "who has the token".to_owned(),
        Auth::Nkey(_) => "the user of the nkey".to_owned(),
        Auth::Credentials(path) => format!("the user of {}", path.display()),
    }
}

/// What the server denies.
pub(super) fn check(config: &Config, denied: &[Need]) -> Vec<Finding> {
    let finding = |need: &Need| {
        let (act, key) = match need.act {
            Act::Publish => ("publish to", "publish"),
            Act::Subscribe => ("subscribe to", "subscribe"),
        };
        let Need { pattern, why, .. } = need;
        let what = format!(
            "the server lets {} not {act} {pattern}, which is needed {why}",
            who(&config.nats.auth)
        );
        let mend = format!(
            "permissions: {{ {key}: {{ allow: [\"{pattern}\"] }} }} for this user of the server"
        );
        if matches!(need.act, Act::Publish) && pattern == "_INBOX.>" {
            // The server shows only what is allowed always.
            let mend = format!("{mend}, unless it has allow_responses");
            return Finding::warning("permissions", what, mend);
        }
        Finding::error("permissions", what, mend)
    };
    denied.iter().map(finding).collect()
}
