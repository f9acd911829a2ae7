//! Golden bytes of both modes, and every event that is not written.

use bytes::Bytes;

use super::encode::write_string;
use super::{Attribute, CloudEvent, EncodeError, Payload};

fn event() -> CloudEvent {
    let mut event = CloudEvent {
        id: "1".into(),
        source: "/s".into(),
        ty: "org.x".into(),
        time: Some("2021-03-02t05:11:12z".into()),
        subject: Some("a \"b\" 100% ä".into()),
        datacontenttype: None,
        dataschema: Some("https://a/b".into()),
        extensions: Vec::new(),
        data: Some(Payload::Json(" {\"b\": 1,\"a\":2}\n".into())),
    };
    event.set_extension("x", Attribute::Text("old".into()));
    event.set_extension("n", Attribute::Integer(-1));
    event.set_extension("b", Attribute::Boolean(true));
    event.set_extension("x", Attribute::Text("tab\u{20}\\".into()));
    event
}

#[test]
fn structured_bytes() {
    let m = event().to_structured().unwrap();
    let expected = concat!(
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"org.x","#,
        r#""subject":"a \"b\" 100% ä","time":"2021-03-02T05:11:12Z","#,
        r#""datacontenttype":"application/json; charset=utf-8","dataschema":"https://a/b","#,
        r#""x":"tab \\","n":-1,"b":true,"data":{"b": 1,"a":2}}"#
    );
    assert_eq!(std::str::from_utf8(&m.body), Ok(expected));
    let headers = [(
        "Content-Type",
        "application/cloudevents+json; charset=utf-8",
    )];
    assert_eq!(m.headers.iter().collect::<Vec<_>>(), headers);
}

#[test]
fn binary_bytes() {
    let m = event().to_binary().unwrap();
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "org.x"),
        ("ce-subject", "a%20%22b%22%20100%25%20%C3%A4"),
        ("ce-dataschema", "https://a/b"),
        ("ce-time", "2021-03-02T05:11:12Z"),
        ("ce-x", "tab%20\\"),
        ("ce-n", "-1"),
        ("ce-b", "true"),
        ("Content-Type", "application/json; charset=utf-8"),
    ];
    assert_eq!(m.headers.iter().collect::<Vec<_>>(), headers);
    assert_eq!(m.body.as_ref(), b"{\"b\": 1,\"a\":2}");
}

#[test]
fn payloads_by_media_type() {
    let check = |media_type: Option<&str>, data: Payload, ends: &str, body: &[u8]| {
        let event = CloudEvent {
            datacontenttype: media_type.map(str::to_owned),
            dataschema: None,
            extensions: Vec::new(),
            data: Some(data),
            ..event()
        };
        let m = event.to_structured().unwrap();
        let text = std::str::from_utf8(&m.body).unwrap();
        let (_, end) = text.split_once(",\"datacontenttype\":").unwrap();
        assert_eq!(end, format!("{ends}}}"));
        assert_eq!(event.to_binary().unwrap().body.as_ref(), body);
    };
    let text = |text: &str| Payload::Text(text.into());
    let binary = |bytes: &'static [u8]| Payload::Binary(bytes.into());
    let json = |text: &str| Payload::Json(text.into());
    check(
        Some("a/b+json"),
        json("null"),
        r#""a/b+json","data":null"#,
        b"null",
    );
    check(
        Some("text/x"),
        json("[1]"),
        r#""text/x","data":"[1]""#,
        b"[1]",
    );
    check(
        None,
        text("\"\0"),
        r#""text/plain; charset=utf-8","data":"\"\u0000""#,
        b"\"\0",
    );
    check(Some("text/x"), text(""), r#""text/x","data":"""#, b"");
    check(
        None,
        binary(b"1"),
        r#""application/octet-stream","data_base64":"MQ==""#,
        b"1",
    );
    check(
        Some("text/x"),
        binary(b"\xff"),
        r#""text/x","data_base64":"/w==""#,
        b"\xff",
    );
    check(
        Some("text/json"),
        binary(b" {}"),
        r#""text/json","data":{}"#,
        b"{}",
    );
}

fn refused(change: fn(&mut CloudEvent), expected: &str) {
    let mut event = event();
    change(&mut event);
    let error = event.to_structured().unwrap_err();
    assert_eq!(error.to_string(), expected);
    assert_eq!(event.to_binary(), Err(error));
}

#[test]
fn attributes_that_are_refused() {
    refused(|e| e.id.clear(), "attribute `id` is empty");
    refused(|e| e.source.clear(), "attribute `source` is empty");
    refused(|e| e.ty.clear(), "attribute `type` is empty");
    refused(
        |e| e.source = "a b".into(),
        "attribute `source` is not a URI reference",
    );
    refused(
        |e| e.subject = Some(String::new()),
        "attribute `subject` is empty",
    );
    refused(
        |e| e.time = Some("noon".into()),
        "attribute `time` is not an RFC 3339 time",
    );
    let schema = "attribute `dataschema` is not an absolute URI";
    refused(|e| e.dataschema = Some("a".into()), schema);
    let media_type = "attribute `datacontenttype` is not a media type";
    refused(|e| e.datacontenttype = Some("a".into()), media_type);
    let crlf = "attribute `datacontenttype` has the character U+000D, which no attribute may have";
    refused(|e| e.datacontenttype = Some("a/b\r\nX: y".into()), crlf);
    let character = "attribute `id` has the character U+000A, which no attribute may have";
    refused(|e| e.id = "\n".into(), character);
    let name = "attribute `A` has a name outside a-z and 0-9";
    refused(|e| e.set_extension("A", Attribute::Boolean(true)), name);
    let quote = "attribute `a\\\":1,` has a name outside a-z and 0-9";
    refused(
        |e| e.set_extension("a\":1,", Attribute::Boolean(true)),
        quote,
    );
    let taken = "attribute `type` is an extension with a name that the specification has taken";
    refused(|e| e.set_extension("type", Attribute::Boolean(true)), taken);
    refused(
        |e| e.extensions.push(e.extensions[0].clone()),
        "attribute `x` is given twice",
    );
}

#[test]
fn payloads_that_are_refused() {
    // Nobody gets members in by way of the payload.
    let members =
        "data is not JSON, as its media type says: trailing characters at line 1 column 2";
    refused(
        |e| e.data = Some(Payload::Json("1,\"id\":\"2\"".into())),
        members,
    );
    let empty =
        "data is not JSON, as its media type says: EOF while parsing a value at line 1 column 0";
    refused(|e| e.data = Some(Payload::Json(String::new())), empty);
    let deep = with_data(Payload::Json("[".repeat(20_000) + &"]".repeat(20_000)));
    assert_eq!(
        deep.to_string(),
        "data nests arrays and objects more than 10000 deep"
    );
    let text = with_data(Payload::Text("a".into()));
    assert_eq!(
        (text.to_string().as_str(), text.attribute()),
        ("data is text under a JSON media type", "data")
    );
    let bytes = with_data(Payload::Binary(Bytes::from_static(b"\xff")));
    assert!(
        bytes
            .to_string()
            .starts_with("data is not JSON, as its media type says: invalid utf-8")
    );
}

/// Why this is refused under a JSON media type.
fn with_data(data: Payload) -> EncodeError {
    let datacontenttype = Some("application/json".into());
    CloudEvent {
        datacontenttype,
        data: Some(data),
        ..event()
    }
    .to_structured()
    .unwrap_err()
}

#[test]
fn strings_are_written_as_serde_json_writes_them() {
    for c in ('\0'..='\u{180}').chain(['\u{2028}', '𝄞']) {
        let text = format!("a{c}b");
        let mut written = Vec::new();
        write_string(&mut written, &text);
        let expected = serde_json::to_string(&text).unwrap();
        assert_eq!(std::str::from_utf8(&written), Ok(expected.as_str()));
    }
}
