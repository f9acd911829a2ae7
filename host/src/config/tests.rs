//! Resolution of the whole configuration: sources, mistakes, and what a person reads.

use std::io;
use std::path::Path;

use super::*;
use crate::settings::{Lookups, Mistakes};

mod meaning;
mod mistakes;
mod sources;
mod values;

fn machine() -> Machine {
    Machine {
        host_name: "pod-1".to_owned(),
        cpus: 2,
        current_dir: PathBuf::from("/srv"),
        temp_dir: PathBuf::from("/tmp"),
        user_id: 1000,
    }
}

/// A configuration from flags, variables and the text of `etc/conche.toml`.
fn resolve(
    mode: Mode,
    flags: &Flags,
    variables: &[(&str, &str)],
    text: &str,
) -> Result<Config, Mistakes> {
    let env = |name: &str| {
        variables
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let file = |path: &Path| match path.to_str() {
        Some("/srv/etc/token") => Ok("t0ken\n".to_owned()),
        Some("/srv/etc/empty") => Ok("\n".to_owned()),
        Some("/srv/etc/ca.pem" | "/srv/etc/c.pem" | "/k.pem") => Ok("PEM".to_owned()),
        // As a bundle of all authorities is.
        Some("/srv/etc/large.pem") => Err(io::Error::other("too large")),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let lookups = Lookups {
        env: &env,
        file: &file,
    };
    let file = Some(("etc/conche.toml", text));
    Config::resolve(Inputs {
        mode,
        flags,
        file,
        lookups,
        machine: &machine(),
    })
}

fn of_file(text: &str) -> Config {
    resolve(Mode::Run, &Flags::default(), &[], text).unwrap()
}

fn of_env(variables: &[(&str, &str)]) -> Config {
    resolve(Mode::Run, &Flags::default(), variables, "").unwrap()
}

/// Key, value and origin of every value, a line each.
fn lines(config: &Config) -> String {
    let line = |e: &Explained| format!("{} = {} ({})", e.key, e.value, e.origin);
    config
        .explain()
        .iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}
