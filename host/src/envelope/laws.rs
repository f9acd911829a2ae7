//! Laws: what is written is read as it was, in both modes and between them; what is read can be
//! written; no bytes are too strange to be judged.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, option};

use super::{
    Attribute, CloudEvent, Extension, JSON_CONTENT_TYPE, Message, Payload, is_json_media_type,
};

fn json_texts() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        Just(r#""\ud800\u0000\/""#.to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let member = ("[a-zA-Z]{0,3}", inner.clone()).prop_map(|(k, v)| format!("\"{k}\" :{v}"));
        prop_oneof![
            collection::vec(inner, 0..4).prop_map(|v| format!("[{}\n]", v.join(", "))),
            collection::vec(member, 0..4).prop_map(|v| format!("{{ {}}}", v.join("\t,"))),
        ]
    })
}

/// Media type and payload that belong together.
fn contents() -> impl Strategy<Value = (Option<String>, Option<Payload>)> {
    let json_type = option::of(prop_oneof![
        Just("application/json".to_owned()),
        Just("Application/Vnd.X+JSON; charset=\"utf-8\"".to_owned()),
    ]);
    prop_oneof![
        Just((None, None)),
        (json_type, json_texts()).prop_map(|(t, json)| (t, Some(Payload::Json(json)))),
        ".{1,40}".prop_map(|s| (Some("text/plain".to_owned()), Some(Payload::Text(s)))),
        collection::vec(any::<u8>(), 1..40).prop_map(|bytes| {
            (
                Some("application/octet-stream".to_owned()),
                Some(Payload::Binary(bytes.into())),
            )
        }),
    ]
}

/// Any text that an attribute may have.
fn texts() -> impl Strategy<Value = String> {
    "[ -~¡-\u{FDCF}\u{10000}-\u{1FFFD}]{1,20}"
}

fn events() -> impl Strategy<Value = CloudEvent> {
    let value = prop_oneof![
        any::<bool>().prop_map(Attribute::Boolean),
        any::<i32>().prop_map(Attribute::Integer),
        texts().prop_map(Attribute::Text),
        Just(Attribute::Text(String::new())),
    ];
    let extensions = collection::btree_map("x[a-z0-9]{0,5}", value, 0..5);
    let required = (
        texts(),
        "(https?://[a-z.]{1,8})?/[!-;=?-Z_a-z]{0,20}",
        texts(),
    );
    let time = option::of(Just("2021-03-02T05:11:12.5+01:00".to_owned()));
    let schema = option::of(Just("https://a/b#c".to_owned()));
    (
        required,
        time,
        option::of(texts()),
        schema,
        extensions,
        contents(),
    )
        .prop_filter(
            "a source with `%` or `[` may be no URI",
            |((_, s, _), ..)| fluent_uri::UriRef::parse(s.as_str()).is_ok(),
        )
        .prop_map(
            |((id, source, ty), time, subject, dataschema, extensions, content)| CloudEvent {
                id,
                source,
                ty,
                time,
                subject,
                datacontenttype: content.0,
                dataschema,
                extensions: extensions
                    .into_iter()
                    .map(|(name, value)| Extension { name, value })
                    .collect(),
                data: content.1,
            },
        )
}

/// What an event is once it was on the wire: the default media type is written out.
fn on_the_wire(mut event: CloudEvent) -> CloudEvent {
    if event.data.is_some() && event.datacontenttype.is_none() {
        event.datacontenttype = Some(JSON_CONTENT_TYPE.into());
    }
    event
}

/// The same where types are lost. (Space at the ends of a value is encoded, and so survives.)
fn in_headers(event: CloudEvent) -> CloudEvent {
    let mut event = on_the_wire(event);
    for extension in &mut event.extensions {
        extension.value = match &extension.value {
            Attribute::Boolean(value) => Attribute::Text(value.to_string()),
            Attribute::Integer(value) => Attribute::Text(value.to_string()),
            Attribute::Text(text) => Attribute::Text(text.clone()),
        };
    }
    event
}

proptest! {
    #[test]
    fn structured_and_back(event in events()) {
        let message = event.to_structured().unwrap();
        prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&message.body).is_ok());
        prop_assert_eq!(CloudEvent::decode(&message), Ok(on_the_wire(event)));
    }

    #[test]
    fn binary_and_back(event in events()) {
        let message = event.to_binary().unwrap();
        for (name, value) in message.headers.iter() {
            prop_assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", name);
        }
        prop_assert_eq!(CloudEvent::decode(&message), Ok(in_headers(event)));
    }

    #[test]
    fn through_both_modes(event in events()) {
        let binary = CloudEvent::decode(&event.to_structured().unwrap()).unwrap().to_binary();
        let back = CloudEvent::decode(&binary.unwrap()).unwrap().to_structured();
        prop_assert_eq!(CloudEvent::decode(&back.unwrap()), Ok(in_headers(event)));
    }

    /// Whatever is read can be written, bytes that should have been JSON apart.
    #[test]
    fn broken_documents_are_judged_and_what_is_read_can_be_written(
        event in events(), at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut body = event.to_structured().unwrap().body.to_vec();
        let at = at.index(body.len());
        if cut { body.truncate(at) } else { body[at] = byte }
        if let Ok(read) = CloudEvent::decode(&Message { body: body.into(), ..Message::default() }) {
            let is_json = is_json_media_type(read.datacontenttype.as_deref());
            if !(is_json && matches!(read.data, Some(Payload::Binary(_)))) {
                prop_assert!(read.to_structured().is_ok());
                prop_assert!(read.to_binary().is_ok());
            }
        }
    }

    #[test]
    fn any_headers_are_judged(
        headers in collection::vec(("(ce-|CE-)?[a-z%-]{0,12}", ".{0,12}"), 0..6), body in ".{0,20}",
    ) {
        let mut m = Message { headers: headers.into_iter().collect(), body: body.into() };
        m.headers.insert("Ce-Specversion", "1.0");
        m.headers.insert("ce-id", "1");
        m.headers.insert("ce-source", "/s");
        m.headers.insert("ce-type", "t");
        if let Ok(read) = CloudEvent::decode(&m) {
            prop_assert!(read.to_structured().is_ok());
        }
    }
}
