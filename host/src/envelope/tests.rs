//! Structured documents: every rule of the JSON format with what it refuses, what is tolerated,
//! and documents as old services write them.

use bytes::Bytes;

use super::{Attribute, CloudEvent, DataFlaw, DecodeError, Extension, Flaw, Message, Payload};

fn structured(body: impl Into<Bytes>) -> Result<CloudEvent, DecodeError> {
    CloudEvent::decode(&Message {
        body: body.into(),
        ..Message::default()
    })
}

/// A document with the required attributes and these members.
fn with(members: &str) -> Result<CloudEvent, DecodeError> {
    structured(format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t",{members}}}"#
    ))
}

fn data(members: &str) -> Option<Payload> {
    with(members)
        .unwrap_or_else(|error| panic!("{members}: {error}"))
        .data
}

fn json(text: &str) -> Option<Payload> {
    Some(Payload::Json(text.into()))
}

#[test]
fn invalid_documents_are_refused_by_name() {
    let check = |body: &str, expected: &str| {
        assert_eq!(
            structured(body.to_owned()).unwrap_err().to_string(),
            expected,
            "{body}"
        );
    };
    check(
        "",
        "body is not JSON: EOF while parsing a value at line 1 column 0",
    );
    check(
        "Hello!",
        "body is not JSON: expected value at line 1 column 1",
    );
    check(
        "{\"id\":1",
        "body is not JSON: EOF while parsing an object at line 1 column 7",
    );
    check(
        "{} {}",
        "body is not JSON: trailing characters at line 1 column 4",
    );
    for value in ["[]", "[{}]", "null", "\"a\"", " 1 ", "true"] {
        check(value, "body is a JSON value, but not an object");
    }
    check("{}", "attribute `specversion` is missing");
    check(
        r#"{"specversion":null}"#,
        "attribute `specversion` is missing",
    );
    check(r#"{"specversion":""}"#, "attribute `specversion` is empty");
    check(
        r#"{"specversion":"0.3"}"#,
        "attribute `specversion` is not \"1.0\"",
    );
    check(
        r#"{"specversion":1.0}"#,
        "attribute `specversion` is a number, not a string",
    );
    check(r#"{"specversion":"1.0"}"#, "attribute `id` is missing");
    check(
        r#"{"specversion":"1.0","id":""}"#,
        "attribute `id` is empty",
    );
    check(
        r#"{"specversion":"1.0","id":{"a":1}}"#,
        "attribute `id` is an object, not a string",
    );
    check(
        r#"{"specversion":"1.0","id":"1"}"#,
        "attribute `source` is missing",
    );
    check(
        r#"{"specversion":"1.0","id":"1","source":"/s"}"#,
        "attribute `type` is missing",
    );
    check(
        r#"{"specversion":"1.0","id":"1","source":""}"#,
        "attribute `source` is empty",
    );
    let twice = r#"{"specversion":"1.0","id":"1","id":"1"}"#;
    check(twice, "attribute `id` is given twice");
    let escaped = r#"{"specversion":"1.0","id":"1","\u0069d":null}"#;
    check(escaped, "attribute `id` is given twice");
}

/// A document's members, and what is said of them.
const REFUSED: &str = r#"
"type":"u" => attribute `type` is given twice
"x":1,"x":null => attribute `x` is given twice
"data":1,"data":1 => attribute `data` is given twice
"subject":"" => attribute `subject` is empty
"subject":[] => attribute `subject` is an array, not a string
"subject":"\n" => attribute `subject` has the character U+000A, which no attribute may have
"time":"lunchtime" => attribute `time` is not an RFC 3339 time
"time":1522949460 => attribute `time` is a number, not a string
"datacontenttype":"xyz" => attribute `datacontenttype` is not a media type
"datacontenttype":"" => attribute `datacontenttype` is empty
"datacontenttype":true => attribute `datacontenttype` is a boolean, not a string
"dataschema":"" => attribute `dataschema` is empty
"dataschema":"/a" => attribute `dataschema` is not an absolute URI
"MyExtension":"bad" => attribute `MyExtension` has a name outside a-z and 0-9
"my.extension":1.5 => attribute `my.extension` has a name outside a-z and 0-9
"my_extension":null => attribute `my_extension` has a name outside a-z and 0-9
"my-extension":1 => attribute `my-extension` has a name outside a-z and 0-9
"":1 => attribute `` has a name outside a-z and 0-9
"a\nb":1 => attribute `a\nb` has a name outside a-z and 0-9
"x":1.5 => attribute `x` is a number that is no integer
"x":1.0 => attribute `x` is a number that is no integer
"x":1e3 => attribute `x` is a number that is no integer
"x":2147483648 => attribute `x` is an integer outside -2147483648 to 2147483647
"x":-2147483649 => attribute `x` is an integer outside -2147483648 to 2147483647
"x":1234567890123456789012 => attribute `x` is an integer outside -2147483648 to 2147483647
"x":{"a":1} => attribute `x` is an object: an extension is a boolean, an integer or a string
"x":[1] => attribute `x` is an array: an extension is a boolean, an integer or a string
"x":"a\u0000" => attribute `x` has the character U+0000, which no attribute may have
"x":"\ufdd0" => attribute `x` has the character U+FDD0, which no attribute may have
"x":"\ud800" => attribute `x` has an escape that is no character
"x":"\udc00\ud800" => attribute `x` has an escape that is no character
"datacontenttype":"text/plain","data":"\ud800" => attribute `data` has an escape that is no character
"data":"a","data_base64":"YQ==" => data is given twice, as `data` and as `data_base64`
"data":null,"data_base64":"YQ==" => data is given twice, as `data` and as `data_base64`
"data_base64":5 => data in `data_base64` is a number, not a string
"#;

#[test]
fn invalid_members_are_refused_by_name() {
    for case in REFUSED.trim().lines() {
        let (members, expected) = case.split_once(" => ").unwrap();
        assert_eq!(
            with(members).unwrap_err().to_string(),
            expected,
            "{members}"
        );
    }
    for base64 in ["?", "YQ", "YQ=", "YR==", "YWE-", "YQ==\\n", " YQ=="] {
        let error = with(&format!(r#""data_base64":"{base64}""#)).unwrap_err();
        assert!(
            matches!(error, DecodeError::Data(DataFlaw::NotBase64 { .. })),
            "{base64}"
        );
        assert!(
            error
                .to_string()
                .starts_with("data in `data_base64` is not base64: ")
        );
    }
}

#[test]
fn sources_are_uri_references() {
    for source in ["a b", "http://[::1", "größe", "%"] {
        let body = format!(r#"{{"specversion":"1.0","id":"1","source":"{source}","type":"t"}}"#);
        let expected = DecodeError::flaw("source", Flaw::NotUriReference);
        assert_eq!(structured(body), Err(expected.clone()));
        assert_eq!(expected.attribute(), Some("source"));
    }
}

#[test]
fn hostile_documents_are_errors_and_nothing_worse() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let deep = |n: usize| with(&format!(r#""data":{}"#, nested(n)));
    assert!(deep(10_000).is_ok());
    assert_eq!(deep(10_001), Err(DecodeError::Data(DataFlaw::TooDeep)));
    assert_eq!(deep(1_000_000), Err(DecodeError::Data(DataFlaw::TooDeep)));
    let extension = with(&format!(r#""x":{}"#, nested(1_000_000)));
    assert!(matches!(
        extension,
        Err(DecodeError::Attribute {
            flaw: Flaw::NotScalar(_),
            ..
        })
    ));
    assert_eq!(structured(nested(1_000_000)), Err(DecodeError::NotObject));
    let unclosed = structured("{\"a\":".repeat(1_000_000));
    assert!(matches!(unclosed, Err(DecodeError::NotJson { .. })));

    let invalid = structured(b"{\"specversion\":\"1.0\",\"id\":\"\xff\"}".to_vec());
    assert_eq!(invalid, Err(DecodeError::NotUtf8 { valid_up_to: 27 }));

    // 100,000 extensions: judged in linear time, the last one given twice.
    let many = (0..100_000)
        .map(|n| format!(r#""x{n}":1"#))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(with(&many).unwrap().extensions.len(), 100_000);
    let twice = with(&format!(r#"{many},"x99999":2"#));
    assert_eq!(twice, Err(DecodeError::flaw("x99999", Flaw::Duplicate)));

    let long = with(&format!(r#""{}":1"#, "X".repeat(1_000_000))).unwrap_err();
    assert!(long.to_string().len() < 200);
    let big = format!("\"{}\"", "x".repeat(10_000_000));
    assert_eq!(data(&format!(r#""data":{big}"#)), Some(Payload::Json(big)));
}

#[test]
fn payloads_keep_their_text() {
    let kept = r#"{"z":12345678901234567890123, "a":[1.50,1E5,"\u00e4\/\ud800"],"z":null}"#;
    assert_eq!(data(&format!(r#""data": {kept} "#)), json(kept));
    assert_eq!(data(r#""data":"{\"a\":1}""#), json(r#""{\"a\":1}""#));
    assert_eq!(
        data(r#""datacontenttype":"Application/JSON","data":1"#),
        json("1")
    );
    assert_eq!(
        data(r#""datacontenttype":"a/b+json; charset=x","data":"1""#),
        json(r#""1""#)
    );
    // Explicitly null is not the same as absent, under JSON.
    assert_eq!(data(r#""data":null"#), json("null"));
    assert_eq!(data(r#""datacontenttype":"text/plain","data":null"#), None);
    assert_eq!(data(r#""subject":null"#), None);
    // Other media types: a string stands for its characters; anything else is tolerated.
    let text = Some(Payload::Text("<a b=\"ä\"/>\0".into()));
    assert_eq!(
        data(r#""datacontenttype":"text/xml","data":"<a b=\"\u00e4\"\/>\u0000""#),
        text
    );
    assert_eq!(
        data(r#""datacontenttype":"text/plain","data":{"a":1}"#),
        json(r#"{"a":1}"#)
    );
}

#[test]
fn base64_under_a_json_type_is_json() {
    let binary = |bytes: &'static [u8]| Some(Payload::Binary(bytes.into()));
    let number = "eyJhIjoxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyM30K";
    let expected = json(r#"{"a":12345678901234567890123}"#);
    assert_eq!(data(&format!(r#""data_base64":"{number}""#)), expected);
    for media_type in [
        "application/json",
        "application/json; charset=utf-8",
        "a/B+JSON",
    ] {
        let members = format!(r#""datacontenttype":"{media_type}","data_base64":"{number}""#);
        assert_eq!(data(&members), expected);
    }
    // "Hi!" is no JSON: it stays bytes.
    assert_eq!(
        data(r#""datacontenttype":"application/json","data_base64":"SGkh""#),
        binary(b"Hi!")
    );
    assert_eq!(data(r#""data_base64":"SGkh""#), binary(b"Hi!"));
    assert_eq!(data(r#""data_base64":"\/\/8=""#), binary(b"\xff\xff"));
    assert_eq!(
        data(r#""datacontenttype":"application/json","data_base64":"""#),
        None
    );
    assert_eq!(data(r#""data_base64":null"#), None);
    assert_eq!(data(r#""data_base64":null,"data":1"#), json("1"));
    assert_eq!(
        data(r#""datacontenttype":"a/b","data_base64":"MQ==""#),
        binary(b"1")
    );
    assert_eq!(
        data(r#""datacontenttype":"a/b","data_base64":"""#),
        binary(b"")
    );
}

#[test]
fn a_document_as_old_services_write_it() {
    let body = concat!(
        r#"{"specversion":"1.0","id":"cloudevent-c0usj6qljdkc1t9civvg","#,
        r#""source":"https://gitlab.com/cyverse/users-microservice/users-5d9c","#,
        r#""type":"org.cyverse.users.Get","datacontenttype":"application/json","#,
        r#""time":"2020-02-28T12:13:39.4589254Z","data_base64":"eyJ1c2VybmFtZSI6ImEifQ==","#,
        r#""transactionid":"tid-c0usj6qljdkc1t9civv0","n":-5,"ok":true,"gone":null}"#
    );
    let event = structured(body).unwrap();
    let expected = CloudEvent {
        id: "cloudevent-c0usj6qljdkc1t9civvg".into(),
        source: "https://gitlab.com/cyverse/users-microservice/users-5d9c".into(),
        ty: "org.cyverse.users.Get".into(),
        time: Some("2020-02-28T12:13:39.4589254Z".into()),
        datacontenttype: Some("application/json".into()),
        extensions: vec![
            Extension {
                name: "transactionid".into(),
                value: Attribute::Text("tid-c0usj6qljdkc1t9civv0".into()),
            },
            Extension {
                name: "n".into(),
                value: Attribute::Integer(-5),
            },
            Extension {
                name: "ok".into(),
                value: Attribute::Boolean(true),
            },
        ],
        data: json(r#"{"username":"a"}"#),
        ..CloudEvent::default()
    };
    assert_eq!(event, expected);
    assert_eq!(
        event.transaction_id("transactionid"),
        Some("tid-c0usj6qljdkc1t9civv0")
    );
    assert_eq!(
        (event.transaction_id("n"), event.transaction_id("other")),
        (None, None)
    );
    // The same as bytes of ours: JSON is under `data`.
    let written = event.to_structured().unwrap();
    assert!(
        written
            .body
            .ends_with(br#""ok":true,"data":{"username":"a"}}"#)
    );
    assert_eq!(CloudEvent::decode(&written), Ok(expected));
}
