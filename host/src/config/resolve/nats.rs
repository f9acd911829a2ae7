//! `[nats]`: servers, names, who we are to them.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::{Resolver, show_patterns};
use crate::config::raw::{RawAuth, RawNats, RawTls, Text};
use crate::config::{Auth, Mode, NatsConfig, Tls, checks, defaults};
use crate::settings::{Problem, Written};
use crate::subject::SubjectPattern;

impl Resolver<'_> {
    pub(super) fn nats(&mut self, raw: RawNats) -> NatsConfig {
        let urls = self.urls(raw.urls);
        NatsConfig {
            auth: self.auth(raw.auth, &urls),
            urls,
            queue_group: self.checked(
                "nats.queue_group",
                raw.queue_group,
                defaults::QUEUE_GROUP.to_owned(),
                String::clone,
                |text| checks::name("queue group", text, |c| !matches!(c, '*' | '>')),
            ),
            namespace: self.namespace(raw.namespace),
            max_reconnects: self.take("nats.max_reconnects", raw.max_reconnects, None, |n| {
                n.map_or("forever".to_owned(), |n| n.to_string())
            }),
            reconnect_first: defaults::RECONNECT_FIRST,
            reconnect_wait: self.wait(
                "nats.reconnect_wait",
                raw.reconnect_wait,
                defaults::RECONNECT_WAIT,
            ),
            request_timeout: self.wait(
                "nats.request_timeout",
                raw.request_timeout,
                defaults::REQUEST_TIMEOUT,
            ),
            tls: self.tls(raw.tls),
        }
    }

    fn urls(&mut self, written: Option<Written<Vec<String>>>) -> Vec<String> {
        let show = |urls: &Vec<String>| {
            urls.iter()
                .map(|url| checks::redacted(url))
                .collect::<Vec<_>>()
                .join(",")
        };
        let default = vec![defaults::NATS_URL.to_owned()];
        let urls = self.take("nats.urls", written, default, show);
        if urls.is_empty() {
            self.mistake("nats.urls", "is empty: name at least one server".to_owned());
        }
        let mut checked = Vec::new();
        for url in urls {
            match checks::url(&url) {
                Ok(url) => checked.push(url),
                Err(why) => self.mistake("nats.urls", why),
            }
        }
        checked
    }

    fn namespace(&mut self, written: Option<Written<Vec<SubjectPattern>>>) -> Vec<SubjectPattern> {
        let default = defaults::NAMESPACE.parse().into_iter().collect();
        let namespace = self.take("nats.namespace", written, default, |n| show_patterns(n));
        if namespace.is_empty() && !self.is_mistaken("nats.namespace") {
            let why = "is empty: name a pattern that query ops must match, such as \"cyverse.>\"";
            self.mistake("nats.namespace", why.to_owned());
        }
        namespace
    }

    /// What `[nats.auth]` says; where it says nothing, what stands in the URLs.
    fn auth(&mut self, raw: RawAuth, urls: &[String]) -> Auth {
        let in_urls = self.auth_of_urls(urls);
        let auth = self.written_auth(raw);
        match (auth, in_urls) {
            (Auth::None, in_urls) => in_urls,
            (auth, Auth::None) => auth,
            (auth, _) => {
                let why = "holds credentials, and so does nats.auth: keep one";
                self.mistake("nats.urls", why.to_owned());
                auth
            }
        }
    }

    /// `user:password@`, or `token@`, as services write it in `NATS_URL`. The client would not
    /// look there, and it says the same to every server.
    fn auth_of_urls(&mut self, urls: &[String]) -> Auth {
        let mut all = urls.iter().map(|url| checks::credentials(url));
        let Some(first) = all.find(|auth| *auth != Auth::None) else {
            return Auth::None;
        };
        if all.any(|other| other != Auth::None && other != first) {
            let why = "holds several credentials: one is given to all servers, so keep one";
            self.mistake("nats.urls", why.to_owned());
        }
        first
    }

    fn written_auth(&mut self, raw: RawAuth) -> Auth {
        let ways = [
            ("user", raw.user.as_ref().or(raw.password.as_ref())),
            ("token", raw.token.as_ref()),
            ("nkey", raw.nkey.as_ref()),
            ("creds", raw.creds.as_ref()),
        ];
        let given: Vec<_> = ways
            .iter()
            .filter_map(|(name, w)| Some((*name, (*w)?)))
            .collect();
        if let [(first, _), .., (last, written)] = given.as_slice() {
            let why = format!("{first} and {last} are two ways to log in: keep one");
            self.mistakes
                .add(written.origin.clone(), "nats.auth", Problem::Other(why));
        }
        let user = raw.user.map(|w| self.text("nats.auth.user", Some(w), ""));
        let password_written = raw.password.is_some();
        let password = self.secret("nats.auth.password", raw.password);
        match (user, password) {
            (Some(user), Some(password)) => return Auth::UserPassword { user, password },
            (Some(_), None) if !password_written => {
                let why = "has no password: set one beside it".to_owned();
                self.clash("nats.auth.user", "nats.auth.password", why);
            }
            (None, Some(_)) => {
                let why = "has no user: set one beside it".to_owned();
                self.clash("nats.auth.password", "nats.auth.user", why);
            }
            _ => {}
        }
        if let Some(token) = self.secret("nats.auth.token", raw.token) {
            return Auth::Token(token);
        }
        if let Some(seed) = self.secret("nats.auth.nkey", raw.nkey) {
            if !seed.expose().trim().starts_with("SU") {
                let why = "is no seed of a user: it begins with SU; \"${file:PATH}\" reads a file";
                self.mistake("nats.auth.nkey", why.to_owned());
            }
            return Auth::Nkey(seed);
        }
        match self.readable("nats.auth.creds", raw.creds) {
            Some(path) => Auth::Credentials(path),
            None => Auth::None,
        }
    }

    fn tls(&mut self, raw: RawTls) -> Tls {
        // Who names certificates means to use them: a server without TLS is refused then, too.
        let is_meant = raw.ca.is_some() || raw.cert.is_some();
        let tls = Tls {
            required: self.take("nats.tls.required", raw.required, is_meant, bool::to_string),
            ca: self.readable("nats.tls.ca", raw.ca),
            cert: self.readable("nats.tls.cert", raw.cert),
            key: self.readable("nats.tls.key", raw.key),
        };
        match (&tls.cert, &tls.key) {
            (Some(_), None) => {
                let why = "has no key: set one beside it".to_owned();
                self.clash("nats.tls.cert", "nats.tls.key", why);
            }
            (None, Some(_)) => {
                let why = "has no cert: set one beside it".to_owned();
                self.clash("nats.tls.key", "nats.tls.cert", why);
            }
            _ => {}
        }
        tls
    }

    /// A file that is read when a connection is made, where one is made: that it is not there is said
    /// before. What is in it is for the connection to judge; it may be larger than a secret, too.
    fn readable(&mut self, key: &'static str, written: Text) -> Option<PathBuf> {
        let path = self.path_if_any(key, written)?;
        if self.mode == Mode::Run
            && let Err(cause) = (self.lookups.file)(&path)
            && matches!(
                cause.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            )
        {
            self.mistake(key, format!("{}: {cause}", path.display()));
        }
        Some(path)
    }
}
