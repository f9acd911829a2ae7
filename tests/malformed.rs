//! Messages that are no CloudEvents, each with what is wrong with it: sent over HTTP and on the
//! bus. The envelope's own tests have more; these are one of each kind.

/// A document in structured mode.
pub(crate) struct Structured {
    pub(crate) body: Vec<u8>,
    /// What the error says.
    pub(crate) error: &'static str,
}

/// A message in binary mode.
pub(crate) struct Binary {
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
    pub(crate) error: &'static str,
}

/// With `ty` as their type, as far as they have one.
pub(crate) fn structured(ty: &str) -> Vec<Structured> {
    let latin1 = Structured {
        body: b"{\"specversion\":\"1.0\",\"id\":\"\xfc\"}".to_vec(),
        error: "body is not UTF-8, from byte 27 on",
    };
    let cases = broken_documents(ty).into_iter().chain(broken_members(ty));
    let documents = cases.map(|(body, error)| Structured {
        body: body.into_bytes(),
        error,
    });
    documents.chain([latin1]).collect()
}

/// A good document, with `rest` before its last brace.
fn document(ty: &str, rest: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"{ty}"{rest}}}"#)
}

fn broken_documents(ty: &str) -> Vec<(String, &'static str)> {
    let good = document(ty, "");
    let without = |from: &str, to: &str| good.replace(from, to);
    vec![
        (String::new(), "body is not JSON: "),
        ("hello".into(), "body is not JSON: "),
        (without("}", ""), "body is not JSON: "),
        (
            format!("[{good}]"),
            "body is a JSON value, but not an object",
        ),
        ("{}".into(), "attribute `specversion` is missing"),
        (
            without("1.0", "0.3"),
            "attribute `specversion` is not \"1.0\"",
        ),
        (without(r#""id":"1","#, ""), "attribute `id` is missing"),
        (without(r#""1""#, r#""""#), "attribute `id` is empty"),
        (
            without(r#""1""#, "1"),
            "attribute `id` is a number, not a string",
        ),
        (without("/s", ""), "attribute `source` is empty"),
        (
            without("/s", "a b"),
            "attribute `source` is not a URI reference",
        ),
        (without(ty, ""), "attribute `type` is empty"),
    ]
}

fn broken_members(ty: &str) -> Vec<(String, &'static str)> {
    let cases = [
        (r#""subject":"""#, "attribute `subject` is empty"),
        (r#""id":"2""#, "attribute `id` is given twice"),
        (
            r#""time":"yesterday""#,
            "attribute `time` is not an RFC 3339 time",
        ),
        (
            r#""datacontenttype":"json""#,
            "attribute `datacontenttype` is not a media type",
        ),
        (
            r#""dataschema":"x""#,
            "attribute `dataschema` is not an absolute URI",
        ),
        (
            r#""Trace-Id":"1""#,
            "attribute `Trace-Id` has a name outside a-z and 0-9",
        ),
        (
            r#""ext":{}"#,
            "attribute `ext` is an object: an extension is a boolean, ",
        ),
        (
            r#""ext":1.5"#,
            "attribute `ext` is a number that is no integer",
        ),
        (
            r#""ext":2147483648"#,
            "attribute `ext` is an integer outside -2147483648 to ",
        ),
        (
            r#""ext":"\u0007""#,
            "attribute `ext` has the character U+0007",
        ),
        (r#""data":1,"data_base64":"MQ==""#, "data "),
        (r#""data_base64":"!""#, "data "),
    ];
    let member = |(member, error)| (document(ty, &format!(",{member}")), error);
    cases.map(member).to_vec()
}

/// With `ty` as their type, as far as they have one.
pub(crate) fn binary(ty: &'static str) -> Vec<Binary> {
    let good = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", ty),
        ("content-type", "application/json"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut headers: Vec<_> = good.into_iter().filter(|(n, _)| *n != name).collect();
        headers.push((name, value));
        headers
    };
    let mut twice = good.to_vec();
    twice.push(("ce-id", "2"));
    let without_id = good.into_iter().filter(|(name, _)| *name != "ce-id");
    let cases = [
        (
            with("ce-specversion", "2.0"),
            "1",
            "attribute `specversion` is not \"1.0\"",
        ),
        (without_id.collect(), "1", "attribute `id` is missing"),
        (twice, "1", "attribute `id` is given twice"),
        (with("ce-source", ""), "1", "attribute `source` is empty"),
        (
            with("ce-time", "noon"),
            "1",
            "attribute `time` is not an RFC 3339 time",
        ),
        (
            with("ce-subject", "%ff"),
            "1",
            "attribute `subject` is not UTF-8 once its ",
        ),
        (
            with("ce-ext", "a%0Ab"),
            "1",
            "attribute `ext` has the character U+000A",
        ),
        (
            with("ce-trace-id", "1"),
            "1",
            "attribute `trace-id` has a name outside a-z and 0-9",
        ),
        (
            with("ce-data", "1"),
            "1",
            "attribute `data` is an extension with a name that ",
        ),
        (
            with("content-type", "json"),
            "1",
            "attribute `datacontenttype` is not a media type",
        ),
        (good.to_vec(), "{\"open\": ", "data is not JSON"),
    ];
    let binary = cases.map(|(headers, body, error)| Binary {
        headers,
        body,
        error,
    });
    binary.into_iter().collect()
}
