//! Who a host is to its server: each way to log in, with the right secret and with a wrong one. With
//! the right one it is ready and answers; with a wrong one it says in one line who is refused and
//! where that is set, and never becomes ready.

mod certificates;
mod jwt;

use std::net::{SocketAddr, TcpListener};

use async_nats::ConnectOptions;
use conche::client::{Client, ClientError};
use conche::config::{Auth, Config};
use conche::envelope::{CloudEvent, Payload};
use conche::host::{Host, Runtimes};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::support::server::NatsServer;
use crate::support::{DEADLINE, Wire, event, guest, resolve};
use certificates::Authority;

const GREET: &str = "cyverse.greeter.Greet";
const HELLO: &str = r#"{"greeting":"Hello, Ada!"}"#;

/// A host that was started with this URL and these lines of configuration.
struct Attempt {
    dir: TempDir,
    config: Config,
}

impl Attempt {
    fn new(url: &str, lines: &str) -> Attempt {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(guest("greeter"), dir.path().join("greeter.wasm")).unwrap();
        let config = resolve(dir.path(), Some(url), lines);
        Attempt { dir, config }
    }

    /// It becomes ready, and a service that logs in its own way gets an answer.
    async fn serves(mut self, service: ConnectOptions, service_url: &str) {
        self.config.health.listen = Some(([127, 0, 0, 1], 0).into());
        let runtimes = Runtimes::one();
        let started = Box::pin(Host::start(self.config, &runtimes));
        let host = tokio::time::timeout(DEADLINE, started).await;
        let host = host.expect("no start in time").unwrap();
        let ready = readyz(host.health().unwrap()).await;
        assert_eq!(ready, (200, r#"{"ready":true}"#.to_owned()));
        let wire = Wire::Nats(Box::pin(service.connect(service_url)).await.unwrap());
        let query = event(GREET, r#"{"name":"Ada"}"#).to_structured().unwrap();
        let answer = wire.request(GREET, query, DEADLINE).await.unwrap();
        let data = CloudEvent::decode(&answer).unwrap().data;
        assert_eq!(data, Some(Payload::Json(HELLO.into())));
        drop(self.dir);
    }

    /// It does not start; the reason is one line.
    async fn fails_with(mut self, reason: &str) {
        self.config.nats.max_reconnects = Some(0);
        let runtimes = Runtimes::one();
        let started = Box::pin(Host::start(self.config, &runtimes));
        let started = tokio::time::timeout(DEADLINE, started).await;
        let error = started.expect("no end in time").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        drop(self.dir);
    }
}

async fn readyz(health: SocketAddr) -> (u16, String) {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {health}\r\n\r\n");
    let answer = http::raw(health, &request).await;
    (answer.status, answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_and_a_password() {
    let server = NatsServer::configured("authorization { user: \"users\", password: \"p@ss:1\" }");
    let lines =
        |user, password| format!("[nats.auth]\nuser = \"{user}\"\npassword = \"{password}\"\n");
    let service = || ConnectOptions::with_user_and_password("users".into(), "p@ss:1".into());
    let url = server.url();
    let right = Attempt::new(&url, &lines("users", "p@ss:1"));
    right.serves(service(), &url).await;
    // As services of the old package write it.
    let in_url = format!("nats://users:p%40ss%3A1@{}", server.address());
    Attempt::new(&in_url, "").serves(service(), &url).await;

    let refused = "the server refuses user `users` with this password: check user and password in [nats.auth], or in NATS_URL";
    let wrong = Attempt::new(&url, &lines("users", "guess"));
    wrong.fails_with(refused).await;
    let in_url = format!("nats://users:guess@{}", server.address());
    Attempt::new(&in_url, "").fails_with(refused).await;
    let nobody = "the server refuses a client without a name: set user and password, token, nkey or creds in [nats.auth]";
    Attempt::new(&url, "").fails_with(nobody).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token() {
    let server = NatsServer::configured("authorization { token: \"t0ken\" }");
    let lines = |token| format!("[nats.auth]\ntoken = \"{token}\"\n");
    let service = || ConnectOptions::with_token("t0ken".into());
    let url = server.url();
    let right = Attempt::new(&url, &lines("t0ken"));
    right.serves(service(), &url).await;
    let in_url = format!("nats://t0ken@{}", server.address());
    Attempt::new(&in_url, "").serves(service(), &url).await;

    let refused = "the server refuses the token: check token in [nats.auth], or in NATS_URL";
    let wrong = Attempt::new(&url, &lines("guess"));
    wrong.fails_with(refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_nkey() {
    let (known, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!(
        "authorization {{ users = [ {{ nkey: \"{}\" }} ] }}",
        known.public_key()
    );
    let server = NatsServer::configured(&users);
    let url = server.url();
    let seed = known.seed().unwrap();
    let right = Attempt::new(&url, &format!("[nats.auth]\nnkey = \"{seed}\"\n"));
    right
        .serves(ConnectOptions::with_nkey(seed.clone()), &url)
        .await;
    // A file, as key tools write it.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{seed}\n")).unwrap();
    let lines = format!(
        "[nats.auth]\nnkey = \"${{file:{}}}\"\n",
        file.path().display()
    );
    let service = ConnectOptions::with_nkey(seed);
    Attempt::new(&url, &lines).serves(service, &url).await;

    let seed = stranger.seed().unwrap();
    let wrong = Attempt::new(&url, &format!("[nats.auth]\nnkey = \"{seed}\"\n"));
    wrong
        .fails_with("the server refuses the nkey: check nkey in [nats.auth], and that the server has its public key")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file() {
    let operator = jwt::Operator::new();
    let server = NatsServer::configured(&operator.server_config());
    let url = server.url();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let lines = |path: &std::path::Path| format!("[nats.auth]\ncreds = \"{}\"\n", path.display());
    let known = write("known.creds", &operator.credentials());
    let service = ConnectOptions::with_credentials_file(&known).await.unwrap();
    let right = Attempt::new(&url, &lines(&known));
    right.serves(service, &url).await;

    // An account that this operator did not make.
    let stranger = write("stranger.creds", &jwt::Operator::new().credentials());
    let refused = format!(
        "the server refuses the credentials in {}",
        stranger.display()
    );
    let wrong = Attempt::new(&url, &lines(&stranger));
    wrong.fails_with(&refused).await;
    let missing = dir.path().join("none.creds");
    let none = format!("creds in [nats.auth], {}: No such file", missing.display());
    // Named in a file it would be a mistake there; it may go later, or be named by a program.
    let mut gone = Attempt::new(&url, "");
    gone.config.nats.auth = Auth::Credentials(missing);
    gone.fails_with(&none).await;
    let other = write("other.creds", "no credentials\n");
    let other = Attempt::new(&url, &lines(&other));
    other.fails_with("other.creds: no credentials file").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_an_own_authority() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let (cert, key) = ours.sign("127.0.0.1");
    let server = NatsServer::with_files(
        "tls { cert_file: \"DIR/cert.pem\", key_file: \"DIR/key.pem\" }",
        &[
            ("cert.pem", &cert),
            ("key.pem", &key),
            ("ca.pem", &ours.pem()),
            ("other.pem", &other.pem()),
        ],
    );
    let lines = |ca| format!("[nats.tls]\nca = \"{}\"\n", server.file(ca).display());
    let url = format!("tls://{}", server.address());
    let service = || ConnectOptions::new().add_root_certificates(server.file("ca.pem"));
    let right = Attempt::new(&url, &lines("ca.pem"));
    right.serves(service(), &url).await;
    // The server asks for it, so the scheme may be the old one.
    let plain = Attempt::new(&server.url(), &lines("ca.pem"));
    plain.serves(service(), &url).await;

    let unknown =
        "the server's certificate is of an authority that is unknown here: set ca in [nats.tls]";
    let wrong = Attempt::new(&url, &lines("other.pem"));
    wrong.fails_with(unknown).await;
    Attempt::new(&url, "").fails_with(unknown).await;
    let missing = format!(
        "ca in [nats.tls], {}: No such",
        server.file("none.pem").display()
    );
    let mut gone = Attempt::new(&url, "");
    gone.config.nats.tls.ca = Some(server.file("none.pem"));
    gone.fails_with(&missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_certificate_of_its_clients() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let (cert, key) = ours.sign("127.0.0.1");
    let (client_cert, client_key) = ours.sign("conche");
    let (other_cert, other_key) = other.sign("conche");
    let server = NatsServer::with_files(
        "tls { cert_file: \"DIR/cert.pem\", key_file: \"DIR/key.pem\", ca_file: \"DIR/ca.pem\", verify: true }",
        &[
            ("cert.pem", &cert),
            ("key.pem", &key),
            ("ca.pem", &ours.pem()),
            ("client.pem", &client_cert),
            ("client-key.pem", &client_key),
            ("other.pem", &other_cert),
            ("other-key.pem", &other_key),
        ],
    );
    let path = |name| server.file(name).display().to_string();
    let lines = |cert, key| {
        let (ca, cert, key) = (path("ca.pem"), path(cert), path(key));
        format!("[nats.tls]\nrequired = true\nca = \"{ca}\"\ncert = \"{cert}\"\nkey = \"{key}\"\n")
    };
    let url = server.url();
    let service = ConnectOptions::new()
        .add_root_certificates(server.file("ca.pem"))
        .add_client_certificate(server.file("client.pem"), server.file("client-key.pem"));
    let right = Attempt::new(&url, &lines("client.pem", "client-key.pem"));
    right.serves(service, &url).await;

    let wrong = Attempt::new(&url, &lines("other.pem", "other-key.pem"));
    wrong
        .fails_with(
            "the server knows no authority of the client's certificate: check cert in [nats.tls]",
        )
        .await;
    let without = format!("[nats.tls]\nca = \"{}\"\n", path("ca.pem"));
    Attempt::new(&url, &without)
        .fails_with("the server wants a certificate of its client: set cert and key in [nats.tls]")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_is_required_is_not_done_without() {
    let server = NatsServer::start();
    let host = Attempt::new(&server.url(), "[nats.tls]\nrequired = true\n");
    host.fails_with("the server speaks no TLS: set required = false in [nats.tls]")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fails_with_waits_and_is_not_ready() {
    let server = NatsServer::configured("authorization { token: \"t0ken\" }");
    let mut attempt = Attempt::new(&server.url(), "[nats.auth]\ntoken = \"guess\"\n");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let health = free.local_addr().unwrap();
    drop(free);
    attempt.config.health.listen = Some(health);
    // Without a number of attempts it would take the right one at any time.
    assert_eq!(attempt.config.nats.max_reconnects, None);
    let starting = tokio::spawn(async move {
        let started = Host::start(attempt.config, &Runtimes::one()).await;
        (started.map(drop), attempt.dir)
    });
    let answered = async {
        while tokio::net::TcpStream::connect(health).await.is_err() {
            tokio::task::yield_now().await;
        }
        readyz(health).await
    };
    let (status, body) = tokio::time::timeout(DEADLINE, answered).await.unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(
        body.contains("NATS connection `queries` is not ready"),
        "{body}"
    );
    assert!(!starting.is_finished());
    starting.abort();
}

/// A server whose only user may do this.
fn permitting(permissions: &str) -> NatsServer {
    NatsServer::configured(&format!(
        "jetstream {{ store_dir: \"DIR/js\" }}\nauthorization {{ users = [\n\
         {{ user: \"users\", password: \"p\", permissions: {{ {permissions} }} }}\n\
         {{ user: \"test\", password: \"p\" }}\n] }}\nno_auth_user: test\n"
    ))
}

const LOGIN: &str = "[nats.auth]\nuser = \"users\"\npassword = \"p\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_publish_to_an_inbox_asks_and_answers() {
    let server = permitting(
        "publish: { allow: [\"cyverse.>\", \"org.cyverse.events.>\", \"$JS.>\"] }\n\
         subscribe: { allow: [\"_INBOX.>\", \"cyverse.>\"] }\nallow_responses: true",
    );
    let url = server.url();
    let host = Attempt::new(&url, LOGIN);
    let asked = async {
        // The host answers by `allow_responses`, as services of old may.
        let runtimes = Runtimes::one();
        let _host = Box::pin(Host::start(host.config.clone(), &runtimes)).await;
        let client = Client::connect(host.config).await.unwrap();
        let answer = client.request(GREET, &json!({"name": "Ada"})).await;
        assert!(client.disconnect().await);
        answer.unwrap().data::<Value>().unwrap()
    };
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    assert_eq!(answer.expect("no answer in time").to_string(), HELLO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_get_no_answers_is_told_why() {
    let server = permitting("subscribe: { deny: \"_INBOX.>\" }");
    let config = Attempt::new(&server.url(), LOGIN).config;
    let connected = tokio::time::timeout(DEADLINE, Client::connect(config)).await;
    let error = connected.expect("no end in time").unwrap_err();
    let ClientError::Connect(error) = &error else {
        panic!("{error:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("ermissions Violation for Subscription to \"_INBOX."),
        "{text}"
    );
    let mend = "subscribe: { allow: [\"_INBOX.>\"] }";
    assert!(text.contains(mend), "{text}");
}
