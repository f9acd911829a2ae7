//! What `conche doctor` finds, each thing on a real server that has it; and a host that serves in
//! peace, around which there is nothing.

mod neighbours;
mod permissions;

use conche::config::Config;
use conche::doctor::{Examined, Severity, Wants, examine};
use conche::nats::ConnectError;
use serde_json::{Value, json};

use crate::support::server::NatsServer;
use crate::support::{DEADLINE, On, TestHost, Wire, event, resolve};

const EVENTS: &str = "conche-events";
const DO: &str = "org.cyverse.events.probe.Do";

/// A server, and what a host with these plugins would want of it.
struct Ward {
    server: NatsServer,
    wire: Wire,
    config: Config,
    wants: Wants,
}

impl Ward {
    async fn new(server: NatsServer, plugins: &[&str], lines: &str) -> Ward {
        // A host elsewhere tells what they register.
        let elsewhere = TestHost::start(plugins).await;
        let config = resolve(elsewhere.dir.path(), Some(&server.url()), lines);
        let wire = Wire::connect(&server.url()).await;
        Ward {
            wants: wants(&elsewhere),
            server,
            wire,
            config,
        }
    }

    async fn with_stream(plugins: &[&str], name: &str, subjects: &[&str]) -> Ward {
        let ward = Ward::new(NatsServer::start(), plugins, "").await;
        ward.stream(name, subjects).await;
        ward
    }

    async fn stream(&self, name: &str, subjects: &[&str]) {
        let config = json!({"name": name, "subjects": subjects, "storage": "memory"});
        self.api(&format!("STREAM.CREATE.{name}"), config).await;
    }

    /// A durable that somebody made for pulling.
    async fn consumer(&self, name: &str, filters: &[&str]) {
        let config =
            json!({"durable_name": name, "ack_policy": "explicit", "filter_subjects": filters});
        let body = json!({"stream_name": EVENTS, "config": config});
        self.api(&format!("CONSUMER.CREATE.{EVENTS}.{name}"), body)
            .await;
    }

    async fn api(&self, what: &str, body: Value) {
        let answer = self.wire.api(what, body).await;
        assert!(answer.get("error").is_none(), "{answer}");
    }

    async fn publish(&self, ty: &str) {
        let message = event(ty, "{}").to_structured().unwrap();
        self.wire.publish(ty, message).await.unwrap();
    }

    async fn examine(&self) -> Examined {
        let examined = tokio::time::timeout(DEADLINE, examine(&self.config, &self.wants));
        examined.await.expect("no end in time").unwrap()
    }
}

/// Until the server has what was sent before.
async fn fence(client: &async_nats::Client) {
    let nobody = client.request("nobody", "".into()).await;
    assert!(nobody.is_err());
}

fn wants(host: &TestHost) -> Wants {
    let mut wants = Wants::default();
    for plugin in host.host.dispatcher().registry().plugins() {
        wants.add_plugin(plugin);
    }
    wants
}

/// Each finding as a line, and below it what mends it.
fn lines(examined: &Examined) -> Vec<String> {
    let findings = examined.findings.iter().flat_map(|finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let line = format!("{severity} {}: {}", finding.check, finding.what);
        [line, finding.mend.clone()]
    });
    findings.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn around_a_host_that_serves_in_peace_there_is_nothing() {
    let host = TestHost::on(On::Nats, &["greeter", "probe", "auditor"], "").await;
    host.publish(DO, r#"{"report":true,"steps":[]}"#).await;
    host.stored("org.cyverse.events.probe.Done", 1).await;
    let examined = examine(host.host.config(), &wants(&host)).await.unwrap();
    assert_eq!(examined, Examined::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_an_op() {
    let ward = Ward::with_stream(&["greeter"], "all", &["cyverse.greeter.>", "a.b"]).await;
    let expected = [
        "error overlap: stream `all` takes query `cyverse.greeter.Greet` of plugin `greeter`: \
         askers there get its acknowledgement as their answer",
        "nats stream edit all --subjects \"a.b\"",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_takes_a_part_of_the_namespace() {
    let ward = Ward::with_stream(&["greeter"], "log", &["cyverse.log.>"]).await;
    let expected = [
        "warning overlap: stream `log` takes subjects of the query namespace cyverse.>: \
         askers there get its acknowledgement as their answer",
        "nats stream edit log --subjects \"SUBJECTS OUTSIDE cyverse.>\", or narrow \
         NATS_WILDCARD_SUBJECT",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_configured_otherwise() {
    let subjects = ["org.cyverse.events.users.>"];
    let ward = Ward::with_stream(&["auditor"], EVENTS, &subjects).await;
    let letters = json!({"name": "conche-events-dlq", "discard": "old", "max_bytes": 1_000_000,
        "subjects": ["conche.dlq.conche-events.>", "conche.redrive.conche-events.>"]});
    ward.api("STREAM.CREATE.conche-events-dlq", letters).await;
    let found = lines(&ward.examine().await);
    let expected = [
        "error streams: stream `conche-events` does not take org.cyverse.events.>",
        "nats stream edit conche-events --subjects \"org.cyverse.events.users.>,org.cyverse.events.>\"",
        "error streams: stream `conche-events-dlq` would drop dead letters when it is full",
        "nats stream edit conche-events-dlq --discard new",
    ];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_may_not_or_cannot_be_created() {
    let server = NatsServer::start();
    let mut ward = Ward::new(server, &[], "[events]\ncreate = false").await;
    let found = lines(&ward.examine().await);
    let missing =
        "error streams: there is no stream `conche-events`, and create = false in [events]";
    assert_eq!(found[0], missing);
    assert_eq!(
        found[1],
        "nats stream add conche-events --subjects \"org.cyverse.events.>\""
    );
    ward.config.events.create = true;
    assert_eq!(ward.examine().await, Examined::default());
    ward.stream("other", &["org.cyverse.>"]).await;
    let found = lines(&ward.examine().await);
    let taken = "error streams: stream `conche-events` is missing and cannot be created: stream `other` takes subjects of org.cyverse.events.>";
    assert_eq!(found[0], taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn event_types_that_no_stream_takes() {
    let mut ward = Ward::with_stream(&["probe"], "other", &["org.other.>"]).await;
    ward.wants.add_type("org.new.Made");
    ward.wants.add_type("org.other.Made");
    ward.wants.add_type("cyverse.users.Made");
    ward.wants.add_type("org.cyverse.events.Made");
    let expected = [
        "error types: no stream takes events of type `org.new.Made` (--type)",
        "subjects = [\"org.cyverse.events.>\", \"org.new.Made\"] in [events]",
        "error types: events of type `org.other.Made` (--type) go to stream `other`, not to `conche-events`: they are not heard",
        "stream = \"other\" in [events], or take the subject out of it",
        "error types: no stream takes events of type `cyverse.users.Made` (--type)",
        "subjects = [\"org.cyverse.events.>\", \"cyverse.users.Made\"] in [events], and a NATS_WILDCARD_SUBJECT that does not match it",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_nobody_pulls_from() {
    let ward = Ward::with_stream(&["probe"], EVENTS, &["org.cyverse.events.>"]).await;
    for name in ["conche-probe", "conche-gone", "others-gone"] {
        ward.consumer(name, &[DO]).await;
    }
    ward.publish(DO).await;
    let expected = [
        "warning consumers: 1 event waits at consumer `conche-gone`, and nobody pulls",
        "run a host with plugin `gone`, or, if it is gone for good: nats consumer rm conche-events conche-gone",
        "warning consumers: 1 event waits at consumer `conche-probe`, and nobody pulls",
        "start a host with plugin `probe`: conche run",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_match_nothing_or_the_same_twice() {
    let subjects = ["org.cyverse.events.>", "org.old.>"];
    let ward = Ward::with_stream(&["probe", "auditor"], EVENTS, &subjects).await;
    ward.consumer("conche-probe", &[DO, "org.old.Made"]).await;
    ward.consumer("users-probe", &[]).await;
    // Another plugin that gets the same is none of it, whether it is known here or not.
    ward.consumer("conche-auditor", &[]).await;
    ward.consumer("conche-probe-eu", &["org.cyverse.events.probe.*"])
        .await;
    ward.consumer("users-other", &[]).await;
    let narrowed =
        json!({"name": EVENTS, "subjects": ["org.cyverse.events.>"], "storage": "memory"});
    ward.api(&format!("STREAM.UPDATE.{EVENTS}"), narrowed).await;
    let expected = [
        "warning filters: consumer `conche-probe` waits for org.old.Made, which stream `conche-events` does not take",
        "nats stream edit conche-events --subjects \"org.cyverse.events.>,org.old.Made\"",
        "warning filters: consumers `conche-probe` and `users-probe` both get org.cyverse.events.probe.Do: if both are served, plugin `probe` runs twice for each event",
        "nats consumer rm conche-events users-probe",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_jetstream() {
    let ward = Ward::new(NatsServer::configured(""), &["probe"], "").await;
    let expected = [
        "error jetstream: JetStream is off: plugins that listen to events are refused",
        "start nats-server with -js, or enable it for the account",
    ];
    assert_eq!(lines(&ward.examine().await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong() {
    // In the place of JetStream, somebody who lives in another time.
    let ward = Ward::new(NatsServer::configured(""), &[], "").await;
    let client = ward.wire.nats().clone();
    let mut asked = client.subscribe("$JS.API.*.LIST.>").await.unwrap();
    let mut list = client.subscribe("$JS.API.STREAM.LIST").await.unwrap();
    fence(&client).await;
    let jetstream = tokio::spawn(async move {
        use futures_util::StreamExt as _;
        let answer = json!({"total": 0, "streams": [], "ts": "2021-03-02T05:11:12Z"});
        loop {
            let request = tokio::select! {
                request = list.next() => request,
                request = asked.next() => request,
            };
            // What is tried for permissions wants no answer.
            if let Some(reply) = request.unwrap().reply {
                let answer = answer.to_string().into();
                client.publish(reply, answer).await.unwrap();
            }
        }
    });
    let found = lines(&ward.examine().await);
    assert!(
        found[0].starts_with("warning clock: the server's clock is ")
            && found[0].ends_with(" s behind the one here"),
        "{found:?}"
    );
    assert_eq!(found[1..], ["keep both in time: timedatectl set-ntp true"]);
    jetstream.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_tried_once() {
    let mut ward = Ward::new(NatsServer::start(), &[], "").await;
    ward.server.down();
    let error = examine(&ward.config, &ward.wants).await.unwrap_err();
    let ConnectError::GaveUp { attempts, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*attempts, 1);
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
