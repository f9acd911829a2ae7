//! The client library on a real nats-server and on the embedded bus: asking, publishing, serving.

use std::time::Duration;

use conche::client::{Client, ClientError, Reply, Service};
use conche::config::Config;
use conche::embedded::Bus;
use conche::envelope::CloudEvent;
use serde_json::{Value, json};

use crate::support::server::NatsServer;
use crate::support::{On, TestHost, Wire, event, on_both};

const GREET: &str = "cyverse.greeter.Greet";
const OP: &str = "cyverse.users.Get";
const ADDED: &str = "org.cyverse.events.UserAdded";
const EVENTS: &str = "conche-events";

on_both! {
    a_host_answers_a_client,
    a_client_publishes_what_a_host_handles,
    what_cannot_be_sent_is_told_apart,
}

/// A client with a server or a bus of its own.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    pub(crate) server: Option<NatsServer>,
}

impl Connected {
    pub(crate) async fn on(on: On) -> Connected {
        Connected::with(on, |_| {}).await
    }

    /// With changes to the default configuration.
    pub(crate) async fn with(on: On, change: impl FnOnce(&mut Config)) -> Connected {
        let mut config = Config::default();
        change(&mut config);
        if on == On::Bus {
            let bus = Bus::default();
            let client = Client::embedded_with(&bus, config).unwrap();
            let wire = Wire::Bus(bus);
            return Connected {
                client,
                wire,
                server: None,
            };
        }
        let server = NatsServer::start();
        let connected = Connected {
            client: connect(&server, config.clone()).await,
            wire: Wire::connect(&server.url()).await,
            server: Some(server),
        };
        // As a host has made it.
        connected.create_stream(&config).await;
        connected
    }

    async fn create_stream(&self, config: &Config) {
        let subjects: Vec<_> = config
            .events
            .subjects
            .iter()
            .map(ToString::to_string)
            .collect();
        let stream = json!({"name": EVENTS, "subjects": subjects, "storage": "file"});
        let what = format!("STREAM.CREATE.{EVENTS}");
        assert!(self.wire.api(&what, stream).await["error"].is_null());
    }

    /// Another connection to the same.
    pub(crate) async fn another(&self) -> Client {
        match (&self.server, &self.wire) {
            (Some(server), _) => connect(server, self.client.config().clone()).await,
            (None, Wire::Bus(bus)) => {
                Client::embedded_with(bus, self.client.config().clone()).unwrap()
            }
            (None, Wire::Nats(_)) => panic!("a server without a server"),
        }
    }
}

async fn connect(server: &NatsServer, mut config: Config) -> Client {
    config.nats.urls = vec![server.url()];
    Client::connect(config).await.unwrap()
}

pub(crate) fn service(client: &Client) -> Service {
    Service::new(client, "users").unwrap()
}

async fn a_host_answers_a_client(on: On) {
    let host = TestHost::on(on, &["greeter"], "").await;
    let client = client_of(&host).await;
    let answer = client.request(GREET, &json!({"name": "Ada"})).await;
    let answer = answer.unwrap();
    assert_eq!(
        answer.data::<Value>().unwrap(),
        json!({"greeting": "Hello, Ada!"})
    );
    assert_eq!(&*answer.bytes(), br#"{"greeting":"Hello, Ada!"}"#);
    let event = answer.event().unwrap();
    assert!(event.source.ends_with("/greeter"), "{event:?}");
    let ask = json!({"name": "Ada"});
    let asked = client.request_with_transaction_id(GREET, "tid-7", &ask);
    assert_eq!(asked.await.unwrap().transaction_id(), Some("tid-7"));
    let refused = client.request(GREET, &json!({"name": 7})).await;
    let Err(ClientError::Remote(fault)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(fault.code, 400);
}

async fn client_of(host: &TestHost) -> Client {
    match &host.server {
        Some(server) => connect(server, Config::default()).await,
        None => Client::embedded(host.bus()).unwrap(),
    }
}

async fn a_client_publishes_what_a_host_handles(on: On) {
    let host = TestHost::on(on, &["auditor"], "").await;
    let client = client_of(&host).await;
    let ty = "org.cyverse.events.GreetingRequested";
    let first = client
        .publish_with_transaction_id(ty, "tid-9", &json!({"name": "Ada"}))
        .await
        .unwrap();
    assert_eq!((&*first.stream, first.duplicate), (EVENTS, false));
    let effects = host.stored("org.cyverse.events.AuditRecorded", 1).await;
    let effect = CloudEvent::decode(&effects[0].message).unwrap();
    assert_eq!(effect.transaction_id("transactionid"), Some("tid-9"));
    // The same event again is none.
    let event = event(ty, "{}");
    let stored = client.publish_event(event.clone()).await.unwrap();
    let again = client.publish_event(event).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (stored.sequence, true));
}

async fn what_cannot_be_sent_is_told_apart(on: On) {
    let connected = Connected::on(on).await;
    let client = &connected.client;
    let nobody = client.request(OP, &json!(1)).await.unwrap_err();
    let subject = OP.to_owned();
    assert_eq!(
        nobody,
        ClientError::NoResponders {
            subject: subject.clone()
        }
    );
    let silent = service(client)
        .query_event(OP, |_| async { Ok(Reply::Silence) })
        .start()
        .await
        .unwrap();
    let hasty = client.with_request_timeout(Duration::from_millis(50));
    let timed_out = hasty.request(OP, &json!(1)).await.unwrap_err();
    assert_eq!(timed_out, ClientError::TimedOut { subject });
    assert!(silent.stop().await);
    for bad in ["", "a b", "cyverse.*"] {
        let error = client.request(bad, &json!(1)).await.unwrap_err();
        assert!(matches!(error, ClientError::Invalid(_)), "{bad}: {error:?}");
    }
    let no_stream = client.publish("org.elsewhere.X", &json!(1)).await;
    assert!(
        matches!(no_stream, Err(ClientError::NoStream { .. })),
        "{no_stream:?}"
    );
    assert_eq!(client.takes("org.elsewhere.X").await, Ok(false));
    assert_eq!(client.takes(ADDED).await, Ok(true));
    // Where such go that are no subject.
    assert_eq!(client.takes("no subject").await, Ok(true));
    let large = "x".repeat(2 << 20);
    let error = client.publish(ADDED, &large).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
    let error = client.request(OP, &large).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_to_be_so() {
    let mut config = Config::default();
    config.nats.urls = vec!["nats://127.0.0.1:1".to_owned()];
    config.nats.max_reconnects = Some(0);
    let error = Client::connect(config).await.unwrap_err();
    let ClientError::Connect(error) = &error else {
        panic!("{error:?}");
    };
    let text = error.to_string();
    assert!(
        text.starts_with("cannot connect to nats://127.0.0.1:1 in 1 attempt: "),
        "{text}"
    );
}
