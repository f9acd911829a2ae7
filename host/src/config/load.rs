//! The only place where configuration meets the real environment, files and machine.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Config, Flags, Inputs, Machine, Mode};
use crate::settings::{Lookups, Mistakes};

/// Read from the working directory when neither `--config` nor `CONCHE_CONFIG` names a file.
pub const CONFIG_FILE: &str = "conche.toml";

/// The largest file that `${file:…}` reads, in bytes: keys and certificates have some thousands.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file that was named, or the one found, can't be read.
    #[error("can't read {}: {cause}{}", .path.display(), if *.named { ": --config or CONCHE_CONFIG names it" } else { "" })]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Whether somebody named it.
        named: bool,
        /// As the operating system has it.
        cause: io::Error,
    },
    /// Everything that is wrong, one a line.
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
}

impl Config {
    /// The configuration of this process. Blocks: reads `conche.toml`, and files with secrets.
    ///
    /// # Errors
    /// The file can't be read, or all mistakes at once.
    pub fn load(mode: Mode, flags: &Flags) -> Result<Config, LoadError> {
        let file = read_file(flags)?;
        let machine = Machine::this();
        let inputs = Inputs {
            mode,
            flags,
            file: file
                .as_ref()
                .map(|(path, text)| (path.as_str(), text.as_str())),
            lookups: lookups(),
            machine: &machine,
        };
        Ok(Config::resolve(inputs)?)
    }
}

impl Default for Config {
    /// What holds when nobody says anything: no file, no environment. For tests, and for who sets
    /// all in code.
    fn default() -> Config {
        let lookups = Lookups {
            env: &|_| None,
            file: &|_| Err(io::ErrorKind::NotFound.into()),
        };
        Config::resolve(Inputs {
            mode: Mode::Run,
            flags: &Flags::default(),
            file: None,
            lookups,
            machine: &Machine::this(),
        })
        .expect("defaults agree with each other: a test holds it")
    }
}

/// The environment and the files of this process; policies are resolved with them too.
pub fn lookups() -> Lookups<'static> {
    Lookups {
        env: &variable,
        file: &read_text,
    }
}

impl Machine {
    /// The machine this runs on.
    pub fn this() -> Machine {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let host_name = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Machine {
            host_name: if host_name.is_empty() {
                "localhost".to_owned()
            } else {
                host_name
            },
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            current_dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            temp_dir: std::env::temp_dir(),
            user_id: rustix::process::getuid().as_raw(),
        }
    }
}

fn read_file(flags: &Flags) -> Result<Option<(String, String)>, LoadError> {
    let variable = || {
        variable("CONCHE_CONFIG")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    let named = flags.config.clone().or_else(variable);
    let path = named.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path.to_string_lossy().into_owned(), text))),
        Err(cause) if named.is_none() && cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(LoadError::Unreadable {
            path,
            named: named.is_some(),
            cause,
        }),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Opens a regular file: a pipe may never be written to, and a device never end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let no_file = || io::Error::other("is no regular file");
    if !path.metadata()?.is_file() {
        return Err(no_file());
    }
    // Should a pipe take its place now, that is no place to wait, either.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(nonblock)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(no_file());
    }
    Ok(file)
}

fn read_text(path: &Path) -> io::Result<String> {
    let file = open_regular(path)?;
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        let why = format!("has more than the {SECRET_BYTES_MAX} bytes that a secret may have");
        return Err(io::Error::other(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let flags = Flags {
            config: Some("/none/conche.toml".into()),
            ..Flags::default()
        };
        let error = read_file(&flags).unwrap_err().to_string();
        let expected = "can't read /none/conche.toml: No such file or directory (os error 2): \
                        --config or CONCHE_CONFIG names it";
        assert_eq!(error, expected);
    }

    #[test]
    fn a_file_is_read_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "source = 'x'").unwrap();
        let flags = Flags {
            config: Some(path.clone()),
            ..Flags::default()
        };
        let found = read_file(&flags).unwrap();
        assert_eq!(
            found,
            Some((
                path.to_string_lossy().into_owned(),
                "source = 'x'".to_owned()
            ))
        );
    }

    #[test]
    fn a_secret_is_a_regular_file_and_no_large_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let check = |path: &Path, expected: &str| {
            let found = read_text(path).map_err(|error| error.to_string());
            assert_eq!(found, Err(expected.to_owned()));
        };
        check(&path, "No such file or directory (os error 2)");
        check(dir.path(), "is no regular file");
        check(Path::new("/dev/zero"), "is no regular file");
        std::fs::write(&path, "s3cret").unwrap();
        assert_eq!(read_text(&path).unwrap(), "s3cret");
        std::fs::write(&path, "x".repeat((64 << 10) + 1)).unwrap();
        check(
            &path,
            "has more than the 65536 bytes that a secret may have",
        );
    }

    #[test]
    fn defaults_agree_with_each_other() {
        let config = Config::default();
        assert_eq!(config.nats.urls, ["nats://nats:4222"]);
        assert_eq!(config.client_id, Machine::this().host_name);
    }

    #[test]
    fn this_machine_has_a_name() {
        let machine = Machine::this();
        assert!(
            !machine.host_name.is_empty() && machine.cpus > 0,
            "{machine:?}"
        );
    }
}
