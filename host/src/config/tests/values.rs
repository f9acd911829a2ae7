//! What a person reads of single values that cannot be meant.

use super::mistakes::{check, check_in};

#[test]
fn urls() {
    let refused = |url: &str, shown: &str, flaw: &str| {
        let why = format!("is no NATS URL ({flaw}): write nats://host:4222 or tls://host:4222");
        let text = format!("NATS_URL: {shown:?} {why}");
        check_in(&[("NATS_URL", url)], "", &text);
    };
    let check_url = |url: &str, flaw: &str| refused(url, url, flaw);
    check_url("http://a", "its scheme is neither nats nor tls");
    check_url("nats://", "it names no host");
    check_url("a b", "it is no URL at all");
    check_url("nats://a:x", "it is no URL at all");
    for url in ["nats://a:99999", "nats://a:0", "nats://a:", "a:"] {
        check_url(url, "its port is no number from 1 to 65535");
    }
    for url in ["htp:/x", "nats:/x", "nats:/u@x"] {
        let shown = url.replace("nats:/u", "…");
        refused(url, &shown, "two slashes follow a scheme");
    }
    for url in ["nats://a/b", "a:4222/b?x=1", "nats://a/?x=1", "tls://a#b"] {
        check_url(url, "nothing can follow the server");
    }
    // What follows may be a part of the password.
    let shown = "nats://…@host";
    refused("nats://u:1/2@host", shown, "nothing can follow the server");
    refused(
        "http://u:pw@host",
        "http://…@host",
        "its scheme is neither nats nor tls",
    );
    for url in ["a", "a:4222", "nats://a/", "tls://u:p%2Fw@[::1]:4222"] {
        check_in(&[("NATS_URL", url)], "", "");
    }
    check(
        "nats.urls = []",
        "etc/conche.toml:1: nats.urls: is empty: name at least one server",
    );
}

#[test]
fn a_word_by_itself_is_a_level() {
    let why =
        "there are off, error, warn, info, debug, trace; or write TARGET=LEVEL pairs with commas";
    check(
        "log.level = 'loud'",
        &format!("etc/conche.toml:1: log.level: \"loud\" is no level: {why}"),
    );
    for (text, word) in [("inof", "inof"), ("conche=debug, Inof", "Inof")] {
        let expected = format!("CONCHE_LOG: {word:?} is no level, did you mean \"info\"?: {why}");
        check_in(&[("CONCHE_LOG", text)], "", &expected);
    }
    check(
        "log.level = ','",
        "etc/conche.toml:1: log.level: is empty: write a level such as info, or off",
    );
    for text in ["WARN", "3", "off", "info,conche::sandbox", "[call]=debug"] {
        check_in(&[("CONCHE_LOG", text)], "", "");
    }
}

#[test]
fn sizes_have_bounds() {
    let range = "is out of range: 64KiB to 4GiB";
    check(
        "calls.max_memory = '0'",
        &format!("etc/conche.toml:1: calls.max_memory: 0B {range}"),
    );
    check(
        "calls.max_memory = '999GiB'",
        &format!("etc/conche.toml:1: calls.max_memory: 999GiB {range}"),
    );
    check("calls.max_memory = '4GiB'", "");
    check("calls.max_memory = '64KiB'", "");
    check(
        "gateway.max_body = 0",
        "etc/conche.toml:1: gateway.max_body: 0B is out of range: at least 1B",
    );
    check(
        "events.max_bytes = 0",
        "etc/conche.toml:1: events.max_bytes: 0B keeps nothing: write \"unlimited\"",
    );
}
