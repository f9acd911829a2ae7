//! What wit-bindgen makes of `wit/handler.wit`: one world of imports, one world an exported role.
//! Hidden: nothing here is part of the public API, and no public signature names it.
//!
//! Four worlds instead of the full one, because a component's exports are those of its world, used
//! or not: a plugin without event handlers must not export `event-handler`. `plugin!` expands the
//! export macro of each role that the plugin has; wit-component unites the worlds and drops the
//! imports that no code calls.
//!
//! The records of `types` are mapped onto the hand-written ones (`wire`), so nothing is converted.
#![allow(
    clippy::all,
    clippy::allow_attributes,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    unused_qualifications,
    reason = "generated"
)]

/// The hand-written types under the names that the WIT gives them.
pub mod wire {
    pub use crate::errors::{EventError, Fault, Retry, SendError};
    pub use crate::message::{Attribute, CloudEvent as Event, Draft, Extension, Payload, Reply};

    /// Which registration caused a call; [`crate::Query`] and [`crate::Event`] carry it on.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Matched {
        pub handler: String,
        pub listener: Option<String>,
        pub state: Option<String>,
    }
}

pub mod imports {
    wit_bindgen::generate!({
        path: "wit",
        generate_all,
        inline: "
            package conche:guest-imports;
            world imports {
                import conche:handler/registration@0.1.0;
                import conche:handler/call@0.1.0;
                import conche:handler/config@0.1.0;
                import conche:handler/log@0.1.0;
                import conche:handler/emit@0.1.0;
                import conche:handler/request@0.1.0;
                import conche:handler/exchange@0.1.0;
                import conche:handler/listeners@0.1.0;
            }
        ",
        with: { "conche:handler/types@0.1.0": crate::bindings::wire },
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "wit",
        generate_all,
        inline: "
            package conche:guest-lifecycle;
            world lifecycle-only { export conche:handler/lifecycle@0.1.0; }
        ",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "::conche_guest::__private::lifecycle",
    });
}

pub mod query {
    wit_bindgen::generate!({
        path: "wit",
        generate_all,
        inline: "
            package conche:guest-query;
            world query-only { export conche:handler/query-handler@0.1.0; }
        ",
        with: { "conche:handler/types@0.1.0": crate::bindings::wire },
        pub_export_macro: true,
        export_macro_name: "export_query",
        default_bindings_module: "::conche_guest::__private::query",
    });
}

pub mod event {
    wit_bindgen::generate!({
        path: "wit",
        generate_all,
        inline: "
            package conche:guest-event;
            world event-only { export conche:handler/event-handler@0.1.0; }
        ",
        with: { "conche:handler/types@0.1.0": crate::bindings::wire },
        pub_export_macro: true,
        export_macro_name: "export_event",
        default_bindings_module: "::conche_guest::__private::event",
    });
}
