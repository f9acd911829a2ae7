//! What stands in `plugin!`, checked. Every error points at the token that is wrong and says what
//! to write instead.

use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Path, Result, Token, bracketed};

/// A whole table.
pub(crate) struct Plugin {
    pub(crate) reusable: bool,
    pub(crate) items: Vec<Item>,
    /// The function of the `register` item.
    pub(crate) register: Option<Path>,
}

/// One registration, or several for one handler.
pub(crate) struct Item {
    pub(crate) hears: Hears,
    pub(crate) handler: Path,
    pub(crate) name: LitStr,
}

pub(crate) enum Hears {
    Query(Vec<LitStr>),
    AnyQuery,
    Event(Vec<LitStr>),
    AnyEvent,
    Listener,
}

impl Hears {
    pub(crate) fn is_query(&self) -> bool {
        matches!(self, Self::Query(_) | Self::AnyQuery)
    }
}

const WORDS: [&str; 7] = [
    "reusable",
    "query",
    "any_query",
    "event",
    "any_event",
    "listener",
    "register",
];

impl Parse for Plugin {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut plugin = Self {
            reusable: false,
            items: Vec::new(),
            register: None,
        };
        while !input.is_empty() {
            plugin.parse_item(input)?;
            if !input.is_empty() && !input.peek(Token![,]) {
                return Err(input.error("expected `,` between items"));
            }
            input.parse::<Option<Token![,]>>()?;
        }
        if plugin.items.is_empty() {
            let message = "no handlers: add an item such as `query \"op\" => function`";
            return Err(Error::new(input.span(), message));
        }
        plugin.check_names()?;
        plugin.check_twice()?;
        Ok(plugin)
    }
}

impl Plugin {
    fn parse_item(&mut self, input: ParseStream<'_>) -> Result<()> {
        let word: Ident = input
            .parse()
            .map_err(|error| Error::new(error.span(), format!("expected {}", one_of(&WORDS))))?;
        let hears = match word.to_string().as_str() {
            "reusable" if self.reusable => return Err(twice(&word)),
            "reusable" => {
                self.reusable = true;
                return Ok(());
            }
            "register" if self.register.is_some() => return Err(twice(&word)),
            "register" => {
                self.register = Some(parse_function(input, "register => function")?);
                return Ok(());
            }
            "query" => Hears::Query(parse_strings(input, "query \"op\" => function", check_op)?),
            "event" => Hears::Event(parse_strings(
                input,
                "event \"type\" => function",
                check_type,
            )?),
            "any_query" => Hears::AnyQuery,
            "any_event" => Hears::AnyEvent,
            "listener" => Hears::Listener,
            other => return Err(Error::new(word.span(), unknown(other))),
        };
        let handler = parse_function(input, &format!("{word} … => function"))?;
        let name = if input.parse::<Option<Token![as]>>()?.is_some() {
            input.parse().map_err(|error| {
                Error::new(
                    error.span(),
                    "expected the handler's name, as in `… as \"name\"`",
                )
            })?
        } else {
            let last = handler
                .segments
                .last()
                .expect("a parsed path has a segment");
            LitStr::new(&last.ident.to_string(), last.ident.span())
        };
        self.items.push(Item {
            hears,
            handler,
            name,
        });
        Ok(())
    }

    /// A name leads to one function: a second function under it could never be called.
    fn check_names(&self) -> Result<()> {
        for (index, item) in self.items.iter().enumerate() {
            let same_name = |other: &&Item| other.name.value() == item.name.value();
            let Some(first) = self.items[..index].iter().find(same_name) else {
                continue;
            };
            let name = item.name.value();
            if text(&first.handler) != text(&item.handler) {
                return Err(Error::new(
                    item.name.span(),
                    format!("another handler is named `{name}`; add `as \"other-name\"`"),
                ));
            }
            if first.hears.is_query() != item.hears.is_query() {
                return Err(Error::new(
                    item.name.span(),
                    format!("`{name}` handles queries already; events need another function"),
                ));
            }
        }
        Ok(())
    }

    /// The host would refuse what is registered twice; say it before.
    fn check_twice(&self) -> Result<()> {
        let mut ops: Vec<String> = Vec::new();
        let (mut any_query, mut any_event) = (false, false);
        for item in &self.items {
            match &item.hears {
                Hears::Query(strings) => {
                    for op in strings {
                        if ops.contains(&op.value()) {
                            let message = format!("`{}` is answered twice", op.value());
                            return Err(Error::new(op.span(), message));
                        }
                        ops.push(op.value());
                    }
                }
                Hears::AnyQuery if std::mem::replace(&mut any_query, true) => {
                    return Err(Error::new(item.name.span(), "a second `any_query`"));
                }
                Hears::AnyEvent if std::mem::replace(&mut any_event, true) => {
                    return Err(Error::new(item.name.span(), "a second `any_event`"));
                }
                Hears::AnyQuery | Hears::AnyEvent | Hears::Event(_) | Hears::Listener => {}
            }
        }
        Ok(())
    }
}

fn parse_function(input: ParseStream<'_>, form: &str) -> Result<Path> {
    let wrong = |error: Error| Error::new(error.span(), format!("expected `{form}`"));
    input.parse::<Token![=>]>().map_err(wrong)?;
    Path::parse_mod_style(input).map_err(|error| {
        Error::new(
            error.span(),
            "expected the path of a function; a closure cannot be a handler",
        )
    })
}

fn parse_strings(
    input: ParseStream<'_>,
    form: &str,
    check: fn(&str) -> Option<String>,
) -> Result<Vec<LitStr>> {
    let wrong = |error: Error| Error::new(error.span(), format!("expected `{form}`"));
    let strings: Vec<LitStr> = if input.peek(syn::token::Bracket) {
        let list;
        bracketed!(list in input);
        Punctuated::<LitStr, Token![,]>::parse_terminated(&list)
            .map_err(wrong)?
            .into_iter()
            .collect()
    } else {
        vec![input.parse().map_err(wrong)?]
    };
    for string in &strings {
        if let Some(message) = check(&string.value()) {
            return Err(Error::new(string.span(), message));
        }
    }
    Ok(strings)
}

/// A query op is the literal subject that the host subscribes.
fn check_op(op: &str) -> Option<String> {
    let whole = ["", "*", ">"];
    let broken = |token: &str| whole.contains(&token) || token.contains(char::is_whitespace);
    if op.split('.').any(broken) {
        return Some(format!(
            "`{op}` is no query op: write tokens joined by dots, without wildcards or spaces"
        ));
    }
    let reserved = op.starts_with('$') || op.starts_with("_INBOX.") || op.starts_with("conche.");
    reserved.then(|| {
        format!("`{op}` is reserved: ops begin neither with `$` nor `_INBOX.` nor `conche.`")
    })
}

fn check_type(type_: &str) -> Option<String> {
    type_
        .is_empty()
        .then(|| "an event type cannot be empty".to_owned())
}

fn twice(word: &Ident) -> Error {
    Error::new(word.span(), format!("a second `{word}`"))
}

fn unknown(word: &str) -> String {
    let close = WORDS.iter().find(|known| {
        let plain = |text: &str| text.replace('_', "").trim_end_matches('s').to_lowercase();
        plain(known) == plain(word) || known.starts_with(word) || word.starts_with(**known)
    });
    match close {
        Some(known) => format!("unknown item `{word}`; did you mean `{known}`?"),
        None => format!("unknown item `{word}`; expected {}", one_of(&WORDS)),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("one of {}", quoted.join(", "))
}

fn text(path: &Path) -> String {
    path.to_token_stream().to_string()
}

#[cfg(test)]
mod tests;
