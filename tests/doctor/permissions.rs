//! What the server denies.

use super::{Ward, lines};
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, event};

const LOGIN: &str = "[nats.auth]\nuser = \"conche\"\npassword = \"p\"";

/// A server that gives the user `conche` these permissions.
fn server(permissions: &str) -> NatsServer {
    NatsServer::configured(&format!(
        "jetstream {{ store_dir: \"DIR/js\" }}\nauthorization {{ users = [\n\
         {{ user: \"conche\", password: \"p\", permissions: {{ {permissions} }} }}\n\
         {{ user: \"test\", password: \"p\" }}\n] }}\nno_auth_user: test\n"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_host_needs_and_is_denied() {
    let denied = "subscribe: { deny: \"cyverse.greeter.>\" }, publish: { deny: [\
                  \"org.cyverse.events.>\", \"conche.dlq.>\", \"$JS.API.STREAM.MSG.GET.>\", \
                  \"$JS.API.CONSUMER.MSG.NEXT.>\", \"$JS.ACK.>\" ] }";
    let ward = Ward::new(server(denied), &["greeter"], LOGIN).await;
    let found = lines(&ward.examine().await);
    let expected = |act: &str, pattern: &str, why: &str| {
        let verb = act.to_lowercase();
        let what = format!(
            "error permissions: the server lets user `conche` not {verb} to {pattern}, which is needed {why}"
        );
        let mend = format!(
            "permissions: {{ {verb}: {{ allow: [\"{pattern}\"] }} }} for this user of the server"
        );
        [what, mend]
    };
    let all = [
        expected(
            "subscribe",
            "cyverse.greeter.Greet",
            "to serve plugin `greeter`",
        ),
        expected(
            "publish",
            "org.cyverse.events.>",
            "to send what plugins emit",
        ),
        expected(
            "publish",
            "conche.dlq.conche-events.>",
            "to store dead letters",
        ),
        expected(
            "publish",
            "$JS.API.STREAM.MSG.GET.conche-events-dlq",
            "to know a dead letter that is stored already",
        ),
        expected(
            "publish",
            "$JS.API.STREAM.MSG.GET.conche-events",
            "to find events whose headers end the connection",
        ),
        expected(
            "publish",
            "$JS.API.CONSUMER.MSG.NEXT.conche-events.*",
            "to read events",
        ),
        expected(
            "publish",
            "$JS.ACK.conche-events.>",
            "to acknowledge events",
        ),
    ];
    assert_eq!(found, all.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_may_not_be_listed_are_not_waited_for() {
    let ward = Ward::new(
        server("publish: { deny: \"$JS.API.STREAM.>\" }"),
        &[],
        LOGIN,
    )
    .await;
    let examined = ward.examine().await;
    let denied = examined.findings.iter().map(|finding| finding.check);
    assert_eq!(denied.collect::<Vec<_>>(), ["permissions"; 8]);
    let notes = ["streams could not be looked at: the server denies it"];
    assert_eq!(examined.notes, notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_is_denied() {
    let ward = Ward::new(server("subscribe: { deny: \"_INBOX.>\" }"), &[], LOGIN).await;
    let found = lines(&ward.examine().await);
    assert!(
        found[0].ends_with("not subscribe to _INBOX.>, which is needed to get answers"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_that_may_be_answered_to_only() {
    let ward = Ward::new(server("publish: { deny: \"_INBOX.>\" }"), &[], LOGIN).await;
    let examined = ward.examine().await;
    let of_permissions = examined
        .findings
        .iter()
        .filter(|it| it.check == "permissions");
    let mends: Vec<&str> = of_permissions
        .map(|finding| finding.mend.as_str())
        .collect();
    let mend = "permissions: { publish: { allow: [\"_INBOX.>\"] } } for this user of the server, unless it has allow_responses";
    assert_eq!(mends, [mend]);
}

/// What is tried stores nothing, and takes no query from anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_has_no_effect() {
    let ward = Ward::new(NatsServer::start(), &["greeter"], "").await;
    ward.stream("conche-events", &["org.cyverse.events.>"])
        .await;
    ward.examine().await;
    let stored = ward.wire.messages("conche-events", ">").await;
    assert!(stored.is_empty(), "{stored:?}");
    // Its subscriptions are gone: nobody is there to answer.
    let query = event("cyverse.greeter.Greet", "{}")
        .to_structured()
        .unwrap();
    let asked = ward.wire.request("cyverse.greeter.Greet", query, DEADLINE);
    assert_eq!(asked.await.unwrap_err(), "nobody answers");
}
