//! One plugin at a time, called without a host: limits, instances, the cache of compiled code.

mod cache;
mod load;
mod log;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use conche::config::CacheConfig;
use conche::sandbox::{Sandbox, SandboxSettings};

/// One engine for all tests that need no other.
static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| sandbox(Some(cache_in(cache_dir()))));

/// Shared by all tests and kept between runs: compiling takes the longest of all.
fn cache_dir() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache")
}

fn cache_in(dir: impl Into<PathBuf>) -> CacheConfig {
    CacheConfig {
        dir: dir.into(),
        max_bytes: 1 << 30,
    }
}

fn sandbox(cache: Option<CacheConfig>) -> Sandbox {
    Sandbox::new(&SandboxSettings {
        instances: 16,
        memory_bytes: 256 << 20,
        table_elements: 40_000,
        cache,
    })
    .unwrap()
}
