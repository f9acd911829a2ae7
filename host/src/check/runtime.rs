//! The runtime that lies in a component below the plugin's own code, if there is one: told by what
//! the component says of itself, so that what says nothing has none. Pure.

use serde::Serialize;
use wasmparser::{CustomSectionReader, KnownCustom, Parser, Payload};

use super::{Finding, Severity};
use crate::sandbox::{Registrations, Usage};

/// A language's runtime in a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// As people call it.
    pub name: &'static str,
    /// What told it.
    pub by: String,
}

/// What tells a runtime.
enum Sign {
    /// A tool in a `producers` section.
    Tool(&'static str),
    /// How the name of a library begins that was linked in: the linker exports `<library>:memory_base`.
    Library(&'static str),
}

const SIGNS: [(Sign, &str); 4] = [
    (Sign::Library("libpython"), "CPython"),
    (Sign::Library("componentize_qjs_runtime"), "QuickJS"),
    (Sign::Tool("ComponentizeJS"), "StarlingMonkey"),
    (Sign::Tool("Go cmd/compile"), "the Go runtime"),
];

const LIBRARY_END: &str = ":memory_base";

/// Looks for a runtime in a component.
pub fn runtime(component: &[u8]) -> Option<Runtime> {
    // What cannot be read is for the compiler to refuse.
    let payloads = Parser::new(0).parse_all(component).map_while(Result::ok);
    let mut found = payloads.filter_map(|payload| match payload {
        Payload::CustomSection(section) => by_tool(&section),
        Payload::ExportSection(exports) => {
            let mut names = exports.into_iter().flatten();
            names.find_map(|export| by_library(export.name))
        }
        _ => None,
    });
    found.next()
}

fn by_tool(section: &CustomSectionReader<'_>) -> Option<Runtime> {
    let KnownCustom::Producers(fields) = section.as_known() else {
        return None;
    };
    let fields = fields.into_iter().flatten();
    let mut tools = fields.flat_map(|field| field.values.into_iter().flatten());
    tools.find_map(|tool| {
        let known = SIGNS.iter().find(|(sign, _)| match sign {
            Sign::Tool(name) => tool.name == *name,
            Sign::Library(_) => false,
        });
        let by = format!("{} {}", tool.name, tool.version);
        known.map(|(_, name)| Runtime { name, by })
    })
}

fn by_library(export: &str) -> Option<Runtime> {
    let library = export.strip_suffix(LIBRARY_END)?;
    let known = SIGNS.iter().find(|(sign, _)| match sign {
        Sign::Library(begin) => library.starts_with(begin),
        Sign::Tool(_) => false,
    });
    let by = library.to_owned();
    known.map(|(_, name)| Runtime { name, by })
}

impl Runtime {
    /// What of the memory is its own, where memory is short.
    pub(super) fn holds(&self, usage: &Usage) -> Option<Finding> {
        let bytes = usage.start_memory_bytes;
        let mib = bytes as f64 / f64::from(1 << 20);
        let name = self.name;
        let what =
            format!("a fresh instance holds {mib:.1} MiB before any call: {name} lies in it");
        (bytes > 0).then(|| Finding::new(Severity::Note, "limits", what))
    }

    /// That each call starts it anew.
    pub(super) fn not_reused(&self, registrations: &Registrations) -> Option<Finding> {
        let what = format!("it is not reusable: each call starts {} anew", self.name);
        let mend = "declare it reusable, if nothing is left of a call for the next";
        let note = || Finding::new(Severity::Note, "instances", what).with(mend);
        (!registrations.reusable).then(note)
    }
}
