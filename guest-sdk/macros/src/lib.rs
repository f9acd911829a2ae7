//! `plugin!`: from a table of registrations to the exports of a component.
//!
//! A procedural macro rather than a builder, because a component's exports are fixed when it is
//! compiled: the table tells whether there are queries, events or both. It also lets handlers be
//! found by a `match` on their names, so that nothing is built anew in each instance.
//! Must not know wit-bindgen: it expands to names in `conche_guest::__private`.

mod expand;
mod parse;

use proc_macro::TokenStream;

/// Documented where users meet it: `conche_guest::plugin`.
#[proc_macro]
pub fn plugin(input: TokenStream) -> TokenStream {
    match syn::parse::<parse::Plugin>(input) {
        Ok(plugin) => expand::expand(&plugin).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
