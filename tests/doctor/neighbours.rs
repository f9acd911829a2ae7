//! Others on the same subjects.

use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt as _;
use serde_json::json;

use super::{Ward, fence, lines};
use crate::support::server::NatsServer;

/// A service of the old package: one queue subscription on all.
async fn old_service(ward: &Ward, name: &str, group: &str) -> (Client, Subscriber) {
    let options = ConnectOptions::new().name(name);
    let client = Box::pin(options.connect(ward.server.url())).await.unwrap();
    let subscribed = client.queue_subscribe("cyverse.>", group.to_owned()).await;
    fence(&client).await;
    (client, subscribed.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_service_in_another_queue_group() {
    let ward = Ward::new(NatsServer::start(), &["greeter"], "").await;
    let one = old_service(&ward, "users-1", "users").await;
    let two = old_service(&ward, "users-2", "users").await;
    let found = ward.examine().await;
    let expected = [
        "warning neighbours: client `users-1`, client `users-2` subscribes cyverse.> in queue group `users`: each query `cyverse.greeter.Greet` of plugin `greeter` runs there and here",
        "let it drop those ops, or, if it serves the same ones: NATS_QUEUE_GROUP=users here",
    ];
    assert_eq!(lines(&found), expected);
    // Where the server says who it is, nobody is disturbed by a probe.
    for (client, mut queries) in [one, two] {
        fence(&client).await;
        queries.unsubscribe().await.unwrap();
        assert!(queries.next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_service_in_our_queue_group() {
    let ward = Ward::new(NatsServer::start(), &["greeter"], "").await;
    let _old = old_service(&ward, "users-1", "conche").await;
    let expected = [
        "warning neighbours: client `users-1` subscribes cyverse.> in our queue group `conche`: it gets its share of `cyverse.greeter.Greet` of plugin `greeter`, and those that it does not serve are never answered",
        "let it serve the same ops, or set another NATS_QUEUE_GROUP here and let it drop them",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_service_where_plugins_serve_nothing_of_it() {
    let ward = Ward::new(NatsServer::start(), &[], "").await;
    let _old = old_service(&ward, "users-1", "users").await;
    let expected = [
        "warning neighbours: client `users-1` subscribes cyverse.>: who asks for an op that nobody serves waits for its time-out",
        "nothing, while it is needed; it goes when the service has moved",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_listens_to_our_queries() {
    let ward = Ward::new(NatsServer::start(), &["greeter"], "").await;
    let client = ward.wire.nats();
    let _tap = client.subscribe("cyverse.greeter.*").await.unwrap();
    fence(client).await;
    let found = lines(&ward.examine().await);
    assert!(
        found[0].starts_with("warning neighbours: a client at 127.0.0.1 subscribes cyverse.greeter.* without a queue group: it gets a copy of each query `cyverse.greeter.Greet`"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_says_what_it_is_is_called_by_its_name() {
    let ward = Ward::new(NatsServer::start(), &["greeter"], "").await;
    let op = "cyverse.greeter.Greet";
    let (client, _all) = old_service(&ward, "pod-1", "unrelated").await;
    let _endpoint = client.queue_subscribe(op, "q".to_owned()).await.unwrap();
    let mut asked = client.subscribe("$SRV.INFO").await.unwrap();
    fence(&client).await;
    let service = tokio::spawn(async move {
        let info = json!({"name": "greetings", "id": "x", "version": "1.0.0",
            "endpoints": [{"name": "greet", "subject": op, "queue_group": "q"}]});
        while let Some(request) = asked.next().await {
            let reply = request.reply.unwrap();
            client
                .publish(reply, info.to_string().into())
                .await
                .unwrap();
        }
    });
    let found = lines(&ward.examine().await);
    let expected = "warning neighbours: service `greetings` subscribes cyverse.greeter.Greet in queue group `q`: each query `cyverse.greeter.Greet` of plugin `greeter` runs there and here";
    assert!(found.iter().any(|line| line == expected), "{found:#?}");
    service.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_server_does_not_say_a_probe_finds_who_takes_all() {
    let server = NatsServer::configured(
        "jetstream { store_dir: \"DIR/js\" }\nauthorization { users = [\n\
         { user: \"conche\", password: \"p\", permissions: { publish: { deny: \"$SYS.>\" } } }\n\
         { user: \"test\", password: \"p\" }\n] }\nno_auth_user: test\n",
    );
    let config = "[nats.auth]\nuser = \"conche\"\npassword = \"p\"";
    let ward = Ward::new(server, &["greeter"], config).await;
    let found = ward.examine().await;
    assert_eq!(lines(&found), [""; 0], "nobody took the probe");
    assert!(found.notes[0].starts_with("the server does not say who subscribes what"));
    let (_client, mut queries) = old_service(&ward, "users-1", "users").await;
    let expected = [
        "warning neighbours: somebody subscribes all of cyverse.> (a service of the old package, or another): who asks for an op that nobody serves waits, and in another queue group each query runs twice",
        "give both the same NATS_QUEUE_GROUP if they serve the same ops; else let the old service drop those that plugins serve",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
    let probe = queries.next().await.unwrap();
    assert!(
        probe.subject.starts_with("cyverse.conche-doctor-"),
        "{probe:?}"
    );
    assert!(probe.payload.is_empty());
}
