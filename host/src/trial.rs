//! A plugin tried out without a server: cases from files, each one message that comes in and what
//! must come of it.
//!
//! A case runs as a host runs it: the plugin is loaded under its policy, its capabilities go out to
//! an embedded bus, and those who would answer there are doubles on that bus. Nothing of the sandbox
//! is replaced, so what a policy does not grant is refused here too. Each case has a bus, an instance
//! and doubles of its own. Must not know the command line, or how a component was built.

mod case;
mod compare;
mod diff;
mod doubles;
mod expected;
mod fields;
mod files;
mod junit;
mod message;
mod report;
mod run;
mod seen;
mod tree;

pub use case::{Case, Comes};
pub use files::{Cases, FilesError};
pub use junit::junit;
pub use report::{Colour, Suite, Summary, verdict_line};
pub use run::{Candidate, Problem, Verdict};
