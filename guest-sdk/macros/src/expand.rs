//! The code that a table stands for: `register`, and one `match` on the handler's name a role.
//! Must not know how a table is written.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::parse::{Hears, Item, Plugin};

/// The exports are expanded for wasm only: two plugins in one native test binary would clash.
pub(crate) fn expand(plugin: &Plugin) -> TokenStream {
    let register = register(plugin);
    let queries = role(plugin, true);
    let events = role(plugin, false);
    let table = table(plugin);
    quote! {
        #[doc(hidden)]
        struct __ConchePlugin;

        #table

        const _: () = {
            impl ::conche_guest::__private::Lifecycle for __ConchePlugin {
                fn register() -> ::core::result::Result<(), ::std::string::String> {
                    #register
                }
            }

            #[cfg(target_family = "wasm")]
            ::conche_guest::__private::lifecycle::export_lifecycle!(__ConchePlugin);
            #[cfg(not(target_family = "wasm"))]
            const _: fn() -> ::core::result::Result<(), ::std::string::String> =
                <__ConchePlugin as ::conche_guest::__private::Lifecycle>::register;

            #queries
            #events
        };
    }
}

fn register(plugin: &Plugin) -> TokenStream {
    let reusable = plugin.reusable.then(|| quote!(registration.reusable();));
    let registrations = plugin
        .items
        .iter()
        .map(|Item { hears, name, .. }| match hears {
            Hears::Query(ops) => quote!(#(registration.query(#name, #ops);)*),
            Hears::AnyQuery => quote!(registration.any_query(#name);),
            // Without types: registered by the plugin's `register` function.
            Hears::Event(types) if types.is_empty() => TokenStream::new(),
            Hears::Event(types) => quote!(registration.event(#name, &[#(#types),*]);),
            Hears::AnyEvent => quote!(registration.any_event(#name);),
            Hears::Listener => quote!(registration.listener(#name);),
        });
    let own = plugin.register.as_ref().map(|function| {
        quote_spanned! { function.span() =>
            if let ::core::result::Result::Err(error) = #function(&mut registration) {
                return ::core::result::Result::Err(::std::string::ToString::to_string(&error));
            }
        }
    });
    quote! {
        let mut registration = ::conche_guest::Registration::new();
        #reusable
        #(#registrations)*
        #own
        ::core::result::Result::Ok(())
    }
}

/// The table as a value, for the plugin's own unit tests.
fn table(plugin: &Plugin) -> TokenStream {
    let handle = |queries, role: &str| {
        let role = Ident::new(role, Span::call_site());
        if plugin
            .items
            .iter()
            .any(|item| item.hears.is_query() == queries)
        {
            quote! {
                ::core::option::Option::Some(
                    <__ConchePlugin as ::conche_guest::__private::#role>::handle
                )
            }
        } else {
            quote!(::core::option::Option::None)
        }
    };
    let query = handle(true, "QueryHandler");
    let event = handle(false, "EventHandler");
    quote! {
        #[cfg(all(test, not(target_family = "wasm")))]
        const PLUGIN: ::conche_guest::testing::Plugin = ::conche_guest::testing::Plugin::new(
            <__ConchePlugin as ::conche_guest::__private::Lifecycle>::register,
            #query,
            #event,
        );
        // Tests need not use it.
        #[cfg(all(test, not(target_family = "wasm")))]
        const _: ::conche_guest::testing::Plugin = PLUGIN;
    }
}

/// The export of one role, if the plugin has it.
fn role(plugin: &Plugin, queries: bool) -> Option<TokenStream> {
    let mut names: Vec<String> = Vec::new();
    let mut arms = Vec::new();
    let call = if queries { "call_query" } else { "call_event" };
    for Item {
        hears,
        handler,
        name,
    } in &plugin.items
    {
        if hears.is_query() == queries && !names.contains(&name.value()) {
            names.push(name.value());
            // All in the span of the function: a handler of a wrong type is underlined, not the
            // whole macro.
            let call = Ident::new(call, handler.span());
            arms.push(quote_spanned! { handler.span() =>
                #name => ::conche_guest::__private::#call(#handler, matched, message),
            });
        }
    }
    if arms.is_empty() {
        return None;
    }
    let (role, export, result) = if queries {
        let answer = quote!(::core::option::Option<::conche_guest::Reply>);
        (
            quote!(QueryHandler),
            quote!(query::export_query),
            quote!(#answer, ::conche_guest::Fault),
        )
    } else {
        (
            quote!(EventHandler),
            quote!(event::export_event),
            quote!((), ::conche_guest::EventError),
        )
    };
    Some(quote! {
        impl ::conche_guest::__private::#role for __ConchePlugin {
            fn handle(
                matched: ::conche_guest::__private::Matched,
                message: ::conche_guest::CloudEvent,
            ) -> ::core::result::Result<#result> {
                match matched.handler.as_str() {
                    #(#arms)*
                    unknown => ::core::result::Result::Err(
                        ::conche_guest::Fault::internal(::std::format!(
                            "the plugin has no handler `{unknown}`"
                        ))
                        .into(),
                    ),
                }
            }
        }

        #[cfg(target_family = "wasm")]
        ::conche_guest::__private::#export!(__ConchePlugin);
        // Natively nothing calls the handlers: name them, or they count as dead code.
        #[cfg(not(target_family = "wasm"))]
        const _: fn(
            ::conche_guest::__private::Matched,
            ::conche_guest::CloudEvent,
        ) -> ::core::result::Result<#result> =
            <__ConchePlugin as ::conche_guest::__private::#role>::handle;
    })
}
