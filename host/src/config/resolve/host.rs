//! What the host itself needs: calls, plugins, cache, listeners, log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Resolver;
use crate::config::raw::{RawCache, RawCalls, RawGateway, RawLog, RawPlugins, Text, Time};
use crate::config::{
    CacheConfig, CallsConfig, GatewayConfig, HealthConfig, LogConfig, LogFormat, Mode,
    PluginsConfig, ShutdownConfig, checks, defaults,
};
use crate::policy::{Granting, HostBounds, PolicyRules};
use crate::settings::{Origin, Problem, Secret, Written};
use crate::subject::SubjectPattern;

impl Resolver<'_> {
    /// `asking` is how long `[nats]` lets an asker wait: guests are no different unless told.
    pub(super) fn calls(&mut self, raw: RawCalls, asking: Duration) -> CallsConfig {
        let cpus = self.machine.cpus.max(1);
        let slots = cpus
            .saturating_mul(defaults::SLOTS_PER_CPU)
            .max(defaults::SLOTS_LEAST);
        let asked = self.origins.get("nats.request_timeout").cloned();
        let asked = asked.map(|origin| Written::new(asking, origin));
        let request_timeout = raw.request_timeout.or(asked);
        let tables = defaults::MAX_TABLE_ELEMENTS;
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        CallsConfig {
            slots: self.count("calls.slots", raw.slots, slots),
            guest_threads: self.count("calls.guest_threads", raw.guest_threads, cpus),
            hop_limit: self.count("calls.hop_limit", raw.hop_limit, defaults::HOP_LIMIT),
            request_timeout: self.wait("calls.request_timeout", request_timeout, asking),
            max_memory_bytes: size(self.size(
                "calls.max_memory",
                raw.max_memory,
                defaults::MAX_MEMORY,
            )),
            max_table_elements: size(self.take(
                "calls.max_table_elements",
                raw.max_table_elements,
                tables,
                u64::to_string,
            )),
        }
    }

    /// `listened` is the namespace and the stream's subjects; `file` what origins call
    /// `conche.toml`.
    pub(super) fn plugins(
        &mut self,
        raw: RawPlugins,
        calls: &CallsConfig,
        listened: (&[SubjectPattern], &[SubjectPattern]),
        file: &str,
    ) -> PluginsConfig {
        let dir = self.path("plugins.dir", raw.dir, Path::new(defaults::PLUGINS));
        let policies = self.path("plugins.policies", raw.policies, &dir);
        // Nobody chose what stands in for a bound that could not be taken.
        let bound = |key, most| match self.stands_in(key) {
            true => usize::MAX,
            false => most,
        };
        let bounds = HostBounds {
            slots: calls.slots,
            max_memory_bytes: bound("calls.max_memory", calls.max_memory_bytes),
            max_table_elements: bound("calls.max_table_elements", calls.max_table_elements),
            namespace: listened.0.to_vec(),
            events: listened.1.to_vec(),
        };
        let granting = match self.mode {
            Mode::Run | Mode::Health => Granting::AsWritten,
            Mode::Dev | Mode::Call => Granting::Everything,
        };
        for (key, value, origin) in raw.default.said().into_iter().chain(raw.ceiling.said()) {
            self.explain(&key, value, &origin);
        }
        let rules = PolicyRules::new(bounds, granting);
        let place = (file, self.file_dir.as_path());
        let rules = rules.with_sections(raw.default, raw.ceiling, place, &mut self.mistakes);
        PluginsConfig {
            dir,
            policies,
            rules,
        }
    }

    pub(super) fn cache(&mut self, raw: RawCache, plugins: &PluginsConfig) -> CacheConfig {
        let default = self.cache_dir();
        let dir = self.path("cache.dir", raw.dir, &default);
        // A file written there would look like a plugin that changed, and who can drop plugins
        // could drop compiled code.
        for (watched, key) in [
            (&plugins.dir, "plugins.dir"),
            (&plugins.policies, "plugins.policies"),
        ] {
            if dir.starts_with(watched) {
                let (dir, watched) = (dir.display(), watched.display());
                let why =
                    format!("{dir} is inside {key}, {watched}, which is watched: move it out");
                self.clash("cache.dir", key, why);
                break;
            }
        }
        let max_bytes = self.size("cache.max_bytes", raw.max_bytes, defaults::CACHE_MAX_BYTES);
        CacheConfig { dir, max_bytes }
    }

    /// As the XDG base directories have it; without a home, a directory of the user's own in
    /// the system's temporary one.
    fn cache_dir(&self) -> PathBuf {
        let variable = |name| {
            let path = (self.lookups.env)(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let base = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
        match base {
            Some(base) => base.join("conche"),
            None => self
                .machine
                .temp_dir
                .join(format!("conche-{}", self.machine.user_id)),
        }
    }

    pub(super) fn gateway(&mut self, raw: RawGateway) -> GatewayConfig {
        let default = match self.mode {
            Mode::Dev => checks::address(defaults::DEV_GATEWAY).unwrap_or_default(),
            Mode::Run | Mode::Health | Mode::Call => None,
        };
        let listen = self.checked(
            "gateway.listen",
            raw.listen,
            default,
            show_address,
            checks::address,
        );
        let token_was_written = raw.token.is_some() || raw.token_file.is_some();
        let token = self.gateway_token(raw.token, raw.token_file);
        if let Some(address) = listen.filter(|a| !a.ip().is_loopback() && !token_was_written) {
            let why = format!(
                "{address} can be reached from other machines: set token_file or token in \
                 [gateway], or CONCHE_GATEWAY_TOKEN; or listen on 127.0.0.1"
            );
            if !self.stands_in("gateway.token_file") {
                self.clash("gateway.listen", "gateway.token", why);
            }
        }
        let max_body = self.size("gateway.max_body", raw.max_body, defaults::GATEWAY_MAX_BODY);
        GatewayConfig {
            listen,
            token,
            hosts: self.take("gateway.hosts", raw.hosts, vec![], |hosts| {
                format!("[{}]", hosts.join(", "))
            }),
            max_body_bytes: usize::try_from(max_body).unwrap_or(usize::MAX),
            timeout: self.wait("gateway.timeout", raw.timeout, defaults::GATEWAY_TIMEOUT),
        }
    }

    fn gateway_token(&mut self, token: Text, file: Text) -> Option<Secret> {
        let Some(Written { value, origin }) = file else {
            return self.secret("gateway.token", token);
        };
        if token.is_some() {
            let why = "gateway.token is set too: keep one".to_owned();
            self.mistakes
                .add(origin, "gateway.token_file", Problem::Other(why));
            return None;
        }
        let path = self.absolute(&Written::new(value, origin.clone()));
        let read = (self.lookups.file)(&path);
        let text = match &read {
            Ok(text) => text.trim(),
            Err(cause) => {
                let why = format!("{}: {cause}", path.display());
                self.mistakes
                    .add(origin, "gateway.token_file", Problem::Other(why));
                return None;
            }
        };
        if text.is_empty() {
            let why = format!("{} is empty", path.display());
            self.mistakes
                .add(origin, "gateway.token_file", Problem::Other(why));
            return None;
        }
        self.explain("gateway.token", "(secret)".to_owned(), &origin);
        Some(Secret::new(text))
    }

    pub(super) fn health(&mut self, written: Text, gateway: Option<SocketAddr>) -> HealthConfig {
        let default = match self.mode {
            Mode::Run | Mode::Health => checks::address(defaults::HEALTH).unwrap_or_default(),
            Mode::Dev | Mode::Call => None,
        };
        let listen = self.checked(
            "health.listen",
            written,
            default,
            show_address,
            checks::address,
        );
        if let Some(address) = listen.filter(|a| a.port() != 0 && Some(*a) == gateway) {
            let from = self.origins.get("gateway.listen").map(Origin::to_string);
            let why = format!(
                "{address} is gateway.listen too ({}): probes have a listener of their own",
                from.unwrap_or_default()
            );
            self.clash("health.listen", "gateway.listen", why);
        }
        HealthConfig { listen }
    }

    pub(super) fn shutdown(&mut self, drain: Time) -> ShutdownConfig {
        ShutdownConfig {
            drain: self.wait("shutdown.drain", drain, defaults::DRAIN),
        }
    }

    pub(super) fn log(&mut self, raw: RawLog) -> LogConfig {
        LogConfig {
            format: self.take(
                "log.format",
                raw.format,
                LogFormat::Auto,
                |format| match format {
                    LogFormat::Auto => "auto".to_owned(),
                    LogFormat::Human => "human".to_owned(),
                    LogFormat::Json => "json".to_owned(),
                },
            ),
            level: self.checked(
                "log.level",
                raw.level,
                defaults::LOG_LEVEL.to_owned(),
                String::clone,
                checks::log_filter,
            ),
        }
    }
}

fn show_address(address: &Option<SocketAddr>) -> String {
    address.map_or("off".to_owned(), |a| a.to_string())
}
