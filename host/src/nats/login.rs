//! How a connection introduces itself to a server (name, credentials, certificates), and what is
//! said when it is refused: who was refused, and the setting that mends it. Must not know when a
//! connection is tried again.

use std::path::Path;
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions};

use super::ConnectError;
use crate::config::{Auth, NatsConfig};

/// A peer that is gone without a word is noticed after two of them.
const PING_EVERY: Duration = Duration::from_secs(10);

/// What a TLS handshake says when it fails, as rustls writes it, and what to do about it.
const TLS_HINTS: [(&str, &str); 9] = [
    (
        "UnknownIssuer",
        "the server's certificate is of an authority that is unknown here: set ca in [nats.tls]",
    ),
    (
        "BadSignature",
        "the server's certificate is of another authority, which has the same name: check ca in [nats.tls]",
    ),
    (
        "NotValidForName",
        "the server's certificate is for another name: connect by one that it has",
    ),
    (
        "Expired",
        "the server's certificate is out of date, or the clock here is wrong",
    ),
    (
        "CertificateRequired",
        "the server wants a certificate of its client: set cert and key in [nats.tls]",
    ),
    (
        "BadCertificate",
        "the server refuses the client's certificate: check cert and key in [nats.tls]",
    ),
    (
        "CertificateUnknown",
        "the server refuses the client's certificate: check cert and key in [nats.tls]",
    ),
    (
        "UnknownCA",
        "the server knows no authority of the client's certificate: check cert in [nats.tls]",
    ),
    (
        "InvalidContentType",
        "the server speaks no TLS: set required = false in [nats.tls], and write nats:// for tls://",
    ),
];

/// Why an attempt brought no connection.
pub(super) struct Refusal {
    pub(super) reason: String,
    /// A server is there, and the reason names a setting.
    pub(super) is_there: bool,
}

/// The options of a connection with this name. Reads the files that they name.
///
/// # Errors
/// `Options`: a file cannot be read, or is no credentials file.
pub(super) async fn options(
    config: &NatsConfig,
    name: String,
) -> Result<ConnectOptions, ConnectError> {
    let tls = &config.tls;
    for (key, file) in [("ca", &tls.ca), ("cert", &tls.cert), ("key", &tls.key)] {
        if let Some(file) = file {
            // The client would say what went wrong, and not with which of them.
            readable(&format!("{key} in [nats.tls]"), file).await?;
        }
    }
    let mut options = ConnectOptions::new()
        .name(name)
        .ping_interval(PING_EVERY)
        .request_timeout(Some(config.request_timeout))
        .require_tls(tls.required);
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    Ok(match &config.auth {
        Auth::None => options,
        Auth::UserPassword { user, password } => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        Auth::Token(token) => options.token(token.expose().to_owned()),
        Auth::Nkey(seed) => options.nkey(seed.expose().trim().to_owned()),
        Auth::Credentials(path) => {
            let key = "creds in [nats.auth]";
            readable(key, path).await?;
            options.credentials_file(path).await.map_err(|error| {
                let path = path.display();
                ConnectError::Options(format!("{key}, {path}: no credentials file ({error})"))
            })?
        }
    })
}

/// Why there is no connection: in one line, with the setting to look at.
pub(super) fn refusal(config: &NatsConfig, error: &async_nats::ConnectError) -> Refusal {
    let there = |reason| Refusal {
        reason,
        is_there: true,
    };
    let who = || who(&config.auth);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => there(format!("the server refuses {}", who())),
        ConnectErrorKind::Authentication => {
            there(format!("cannot sign what the server asks with {}", who()))
        }
        _ => {
            let text = with_causes(error);
            match TLS_HINTS.iter().find(|(word, _)| text.contains(word)) {
                Some((_, hint)) => there(format!("{hint} ({text})")),
                None => Refusal {
                    reason: text,
                    is_there: false,
                },
            }
        }
    }
}

/// Who we said we are, without the secret, and where that is set.
fn who(auth: &Auth) -> String {
    match auth {
        Auth::None => {
            "a client without a name: set user and password, token, nkey or creds in [nats.auth]"
                .to_owned()
        }
        Auth::UserPassword { user, .. } => format!(
            "user `{user}` with this password: check user and password in [nats.auth], or in NATS_URL"
        ),
        Auth::Token(_) => "the token: check token in [nats.auth], or in NATS_URL".to_owned(),
        Auth::Nkey(_) => {
            "the nkey: check nkey in [nats.auth], and that the server has its public key".to_owned()
        }
        Auth::Credentials(path) => format!(
            "the credentials in {}: check creds in [nats.auth], and that they are not out of date",
            path.display()
        ),
    }
}

async fn readable(key: &str, file: &Path) -> Result<(), ConnectError> {
    match tokio::fs::File::open(file).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let file = file.display();
            Err(ConnectError::Options(format!("{key}, {file}: {error}")))
        }
    }
}

/// The error with its causes, which its own text leaves out.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
