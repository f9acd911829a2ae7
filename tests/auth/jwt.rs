//! An operator with one account and one user, as the NATS tools make them: signed tokens, and the
//! `.creds` file of the user.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

pub(crate) struct Operator {
    operator: KeyPair,
    account: KeyPair,
    user: KeyPair,
}

impl Operator {
    pub(crate) fn new() -> Operator {
        Operator {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            user: KeyPair::new_user(),
        }
    }

    /// For a server that believes this operator, and knows its account.
    pub(crate) fn server_config(&self) -> String {
        let operator = token(
            &self.operator,
            &self.operator,
            &json!({"type": "operator", "version": 2}),
        );
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
        });
        let account = token(
            &self.operator,
            &self.account,
            &json!({"type": "account", "version": 2, "limits": limits}),
        );
        let name = self.account.public_key();
        format!(
            "operator: \"{operator}\"\nresolver: MEMORY\nresolver_preload: {{ {name}: \"{account}\" }}\n"
        )
    }

    /// The user's `.creds` file.
    pub(crate) fn credentials(&self) -> String {
        let user = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let token = token(&self.account, &self.user, &user);
        let seed = self.user.seed().unwrap();
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// What `issuer` says of `subject`.
fn token(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({
        "jti": subject.public_key(),
        "iat": 1_700_000_000,
        "iss": issuer.public_key(),
        "sub": subject.public_key(),
        "name": "test",
        "nats": nats,
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}
