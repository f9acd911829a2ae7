//! What plugin authors work with: projects made from templates, SDKs unpacked beside them, and
//! builds with each language's own toolchain. It must not know what runs a plugin: no sandbox, no
//! NATS, nothing async.
//!
//! [`create`] makes a project, [`Project::open`] reads one, [`build`] turns it into a component.
//! What is made of a project and need not be looked at lies in its directory `.conche`.

mod build;
mod language;
mod manifest;
mod new;
mod project;
mod sdk;
mod sources;
mod tool;
mod world;

pub use build::{Built, build, copy, missing_tools, place};
pub use language::Language;
pub use manifest::{Engine, Js, Kind, MANIFEST, Manifest, Use};
pub use new::create;
pub use project::Project;
pub use sources::Sources;
