//! The languages that plugins are written in, and what differs between them in a word or two.

use std::fmt;

use serde::Deserialize;

/// A language that there is an SDK for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    Js,
    Ts,
    Python,
    Go,
    C,
    Zig,
}

impl Language {
    /// Every one, in the order in which documents name them.
    pub const ALL: [Language; 7] = [
        Language::Rust,
        Language::Js,
        Language::Ts,
        Language::Python,
        Language::Go,
        Language::C,
        Language::Zig,
    ];

    /// As `--lang` and manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::Js => "js",
            Language::Ts => "ts",
            Language::Python => "python",
            Language::Go => "go",
            Language::C => "c",
            Language::Zig => "zig",
        }
    }

    /// Whether the toolchain imports all that the world has, used or not. Elsewhere the linker
    /// drops what nothing calls.
    pub fn imports_whole_world(self) -> bool {
        matches!(self, Language::Js | Language::Ts | Language::Python)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
