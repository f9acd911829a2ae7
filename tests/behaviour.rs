//! What a host does, whichever transport it is on: each test runs on a real nats-server and on the
//! embedded bus.

use std::time::Duration;

use conche::envelope::{Attribute, CloudEvent, Fault, Message, headers};

use crate::support::{On, TestHost, event, guest, on_both};

const GREET: &str = "cyverse.greeter.Greet";
const EVENTS: &str = "conche-events";
const DEAD: &str = "conche-events-dlq";
const DO: &str = "org.cyverse.events.probe.Do";

on_both! {
    a_query_is_answered_with_its_transaction_id,
    nobody_answers_for_who_is_not_there,
    what_is_no_cloud_event_is_not_answered,
    faults_come_in_binary_mode,
    silent_hosts_answer_no_faults,
    a_default_takes_what_nobody_else_does_and_never_says_that_it_failed,
    an_event_is_handled_and_its_effect_stored,
    an_effect_carries_its_cause,
    a_retry_comes_again_and_effects_are_stored_once,
    a_rejected_event_is_dead_lettered_byte_for_byte,
    what_cannot_be_decoded_is_dead_lettered,
    an_event_that_fails_too_often_is_dead_lettered,
    a_large_dead_letter_is_stored_in_chunks,
    what_is_larger_than_the_server_takes_becomes_a_fault,
    a_reply_that_cannot_be_written_becomes_a_fault,
    an_emit_larger_than_the_server_takes_is_refused,
    trace_context_travels_in_headers_too,
    an_event_too_far_from_its_cause_is_dead_lettered,
    guests_ask_guests,
    a_removed_plugin_answers_what_was_on_its_way,
    a_swap_loses_no_query,
}

async fn a_query_is_answered_with_its_transaction_id(on: On) {
    let host = TestHost::on(on, &["greeter"], "").await;
    let mut query = event(GREET, r#"{"name":"Ada"}"#);
    query.set_extension("transactionid", Attribute::Text("tid-1".into()));
    let message = query.to_structured().unwrap();
    let answer = host.wire.request(GREET, message, crate::support::DEADLINE);
    let answer = CloudEvent::decode(&answer.await.unwrap()).unwrap();
    assert_eq!(answer.ty, GREET);
    assert_eq!(answer.transaction_id("transactionid"), Some("tid-1"));
    assert_ne!(answer.id, query.id);
    assert!(answer.source.starts_with("/conche/") && answer.source.ends_with("/greeter"));
}

async fn nobody_answers_for_who_is_not_there(on: On) {
    let host = TestHost::on(on, &["greeter"], "").await;
    let error = host.ask("cyverse.nobody.Get", "{}").await.unwrap_err();
    assert_eq!(error, "nobody answers");
}

async fn what_is_no_cloud_event_is_not_answered(on: On) {
    let host = TestHost::on(on, &["greeter"], "").await;
    let no_event = Message {
        body: "{}".into(),
        ..Message::default()
    };
    let other_type = event("cyverse.other.Get", "{}").to_structured().unwrap();
    for message in [no_event, other_type] {
        let asked = host
            .wire
            .request(GREET, message, Duration::from_millis(300));
        assert_eq!(asked.await.unwrap_err(), "no answer in time");
    }
    let answer = host.ask_json(GREET, r#"{"name":"Ada"}"#).await;
    assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
}

async fn faults_come_in_binary_mode(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let op = "cyverse.probe.Fault";
    let fault = r#"{"code":422,"message":"no","details":{"a":1}}"#;
    let answer = host.ask(op, fault).await.unwrap();
    assert_eq!(answer.headers.get("nats-service-error-code"), Some("422"));
    assert_eq!(answer.headers.get("ce-type"), Some(op));
    assert_eq!(
        answer.body,
        r#"{"code":422,"message":"no","details":{"a":1}}"#
    );
}

async fn silent_hosts_answer_no_faults(on: On) {
    let host = TestHost::on(on, &["probe"], "[compat]\nerrors = \"silent\"").await;
    let op = "cyverse.probe.Fault";
    let message = event(op, r#"{"code":422,"message":"no"}"#).to_structured();
    let asked = host
        .wire
        .request(op, message.unwrap(), Duration::from_millis(300));
    assert_eq!(asked.await.unwrap_err(), "no answer in time");
}

async fn a_default_takes_what_nobody_else_does_and_never_says_that_it_failed(on: On) {
    let host = TestHost::on(on, &["greeter"], "").await;
    let policy = "[grants]\nany-query = true\n[config]\nany-query = \"true\"\n[limits]\nmemory = \"1792KiB\"\n";
    std::fs::write(host.dir.path().join("probe.toml"), policy).unwrap();
    std::fs::copy(guest("probe"), host.dir.path().join("probe.wasm")).unwrap();
    host.ask_until("cyverse.whatever.Get", r#"{"a":1}"#, |answer| {
        answer.contains(r#"{"a":1}"#)
    })
    .await;
    // More than its memory takes: by name that is answered with a fault, by default with silence.
    let large = format!("\"{}\"", "x".repeat(900_000));
    let fault = host.ask_json("cyverse.probe.Echo", &large).await;
    assert_eq!(fault.err().map(|fault| fault.code), Some(500));
    let op = "cyverse.whatever.Get";
    let message = event(op, &large).to_structured().unwrap();
    let asked = host.wire.request(op, message, Duration::from_millis(500));
    assert_eq!(asked.await.err().as_deref(), Some("no answer in time"));
    let answer = host.ask_json(GREET, r#"{"name":"Ada"}"#).await;
    assert_eq!(answer.unwrap(), r#"{"greeting":"Hello, Ada!"}"#);
}

async fn an_event_is_handled_and_its_effect_stored(on: On) {
    let host = TestHost::on(on, &["auditor"], "").await;
    let asked = "org.cyverse.events.GreetingRequested";
    let cause = host.publish(asked, "{}").await;
    let recorded = "org.cyverse.events.AuditRecorded";
    let stored = host.wire.wait_for(EVENTS, recorded, 1).await;
    let record = CloudEvent::decode(&stored[0].message).unwrap();
    assert!(
        format!("{:?}", record.data).contains(&cause.id),
        "{record:?}"
    );
}

async fn an_effect_carries_its_cause(on: On) {
    let host = TestHost::on(on, &["auditor"], "").await;
    host.publish("org.cyverse.events.GreetingRequested", "{}")
        .await;
    let recorded = "org.cyverse.events.AuditRecorded";
    let stored = host.wire.wait_for(EVENTS, recorded, 1).await;
    let message = &stored[0].message;
    let cause = message.headers.get(headers::CONCHE_CAUSE).unwrap();
    assert!(cause.starts_with("conche-events/1/auditor/"), "{cause}");
    assert_eq!(message.headers.get(headers::CONCHE_HOPS), Some("1"));
    let id = CloudEvent::decode(message).unwrap().id;
    assert_eq!(message.headers.get(headers::NATS_MSG_ID), Some(&*id));
}

async fn a_retry_comes_again_and_effects_are_stored_once(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let script = r#"{"report":true,"steps":[
        {"emit":{"type":"org.cyverse.events.probe.Out","data":{"n":1},"key":"a"}},
        {"retry":{"message":"later","after_ms":1},"before_attempt":3}]}"#;
    host.publish(DO, script).await;
    let done = "org.cyverse.events.probe.Done";
    let report = host.wire.wait_for(EVENTS, done, 1).await;
    let body = String::from_utf8_lossy(&report[0].message.body).into_owned();
    assert!(body.contains(r#""attempt":3"#), "{body}");
    let out = host
        .wire
        .messages(EVENTS, "org.cyverse.events.probe.Out")
        .await;
    assert_eq!(out.len(), 1);
}

async fn a_rejected_event_is_dead_lettered_byte_for_byte(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let script = r#"{ "steps":[{"reject":{"code":400,"message":"never"}}]}"#;
    let rejected = host.publish(DO, script).await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    assert_eq!(
        letters[0].subject,
        "conche.dlq.conche-events.conche-probe.1"
    );
    let message = &letters[0].message;
    assert_eq!(message.body, rejected.to_structured().unwrap().body);
    let header = |name: &str| message.headers.get(name).unwrap_or_default();
    assert_eq!(header("Conche-Dlq-Reason"), "rejected: never (400)");
    assert_eq!(header("Conche-Dlq-Attempts"), "1");
    assert_eq!(header("Conche-Dlq-Subject"), DO);
}

async fn what_cannot_be_decoded_is_dead_lettered(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let bytes = Message {
        body: "\u{1}no event".into(),
        ..Message::default()
    };
    host.wire.publish(DO, bytes.clone()).await.unwrap();
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    assert_eq!(letters[0].message.body, bytes.body);
    let reason = letters[0].message.headers.get("Conche-Dlq-Reason");
    assert!(reason.unwrap().starts_with("undecodable: "), "{reason:?}");
}

async fn an_event_that_fails_too_often_is_dead_lettered(on: On) {
    let retry = "[plugins.default.retry]\nmax-attempts = 3\nfirst = \"1ms\"\n";
    let host = TestHost::on(on, &["probe"], retry).await;
    host.publish(DO, r#"{"steps":[{"panic":"always"}]}"#).await;
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 1).await;
    let header = |name: &str| letters[0].message.headers.get(name).unwrap_or_default();
    assert_eq!(header("Conche-Dlq-Attempts"), "3");
    let reason = header("Conche-Dlq-Reason");
    assert!(reason.starts_with("attempt 3 of 3: panicked: "), "{reason}");
    assert!(reason.contains("always"), "{reason}");
}

async fn a_large_dead_letter_is_stored_in_chunks(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let padding = "x".repeat((1 << 20) - 600);
    let script =
        format!(r#"{{"steps":[{{"reject":{{"code":400,"message":"no"}}}}],"p":"{padding}"}}"#);
    let large = event(DO, &script).to_structured().unwrap();
    host.wire.publish(DO, large.clone()).await.unwrap();
    let letters = host.wire.wait_for(DEAD, "conche.dlq.>", 3).await;
    let (letter, chunks) = letters.split_last().unwrap();
    assert_eq!(letter.message.headers.get("Conche-Dlq-Chunks"), Some("2"));
    let header_bytes = letter.message.headers.get("Conche-Dlq-Header-Bytes");
    let header_bytes: usize = header_bytes.unwrap().parse().unwrap();
    let whole: Vec<u8> = chunks
        .iter()
        .flat_map(|c| c.message.body.to_vec())
        .collect();
    assert!(whole[header_bytes..] == large.body[..]);
    assert!(whole.starts_with(b"NATS/1.0\r\n"));
}

async fn what_is_larger_than_the_server_takes_becomes_a_fault(on: On) {
    let host = TestHost::on(on, &["hostile"], "").await;
    let just_too_large = format!(r#"{{"bytes":{}}}"#, (1 << 20) - 220);
    for (op, amount, expected) in [
        ("BigReply", just_too_large.as_str(), "more than the 1048576"),
        ("BigFault", r#"{"bytes":1100000}"#, "shortened"),
    ] {
        let fault = host
            .ask_json(&format!("cyverse.hostile.{op}"), amount)
            .await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.code, 500, "{op}");
        let text = fault.message.chars().rev().take(200).collect::<String>();
        let text = text.chars().rev().collect::<String>();
        assert!(fault.message.contains(expected), "{op}: {text}");
    }
}

async fn a_reply_that_cannot_be_written_becomes_a_fault(on: On) {
    let host = TestHost::on(on, &["hostile"], "").await;
    for (op, named) in [
        ("BadJson", "data"),
        ("BadExtension", "Not-Legal"),
        ("BadType", "type"),
    ] {
        let fault = host.ask_json(&format!("cyverse.hostile.{op}"), "{}").await;
        let fault = fault.unwrap_err();
        assert_eq!(fault.code, 500, "{op}");
        assert!(fault.message.starts_with("the reply is invalid: "), "{op}");
        assert!(fault.message.contains(named), "{op}: {}", fault.message);
    }
}

async fn an_emit_larger_than_the_server_takes_is_refused(on: On) {
    let host = TestHost::on(on, &["hostile"], "").await;
    let answer = host
        .ask_json("cyverse.hostile.BigEmit", r#"{"bytes":1100000}"#)
        .await
        .unwrap();
    assert!(answer.contains("dataref"), "{answer}");
    let out = host
        .wire
        .messages(EVENTS, "org.cyverse.events.hostile.>")
        .await;
    assert!(out.is_empty());
}

async fn trace_context_travels_in_headers_too(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let emit = format!(
        r#"{{"type":"org.cyverse.events.probe.Out","extensions":{{"traceparent":"{parent}"}}}}"#
    );
    host.ask_json("cyverse.probe.Emit", &emit).await.unwrap();
    let out = host.stored("org.cyverse.events.probe.Out", 1).await;
    assert_eq!(out[0].message.headers.get("traceparent"), Some(parent));
}

async fn an_event_too_far_from_its_cause_is_dead_lettered(on: On) {
    let host = TestHost::on(on, &["probe"], "").await;
    for hops in ["17", "4294967295"] {
        let mut message = event(DO, r#"{"report":true,"steps":[]}"#)
            .to_structured()
            .unwrap();
        message.headers.insert(headers::CONCHE_HOPS, hops);
        host.wire.publish(DO, message).await.unwrap();
    }
    let letters = host.dead_letters(2).await;
    let reason = letters[1].message.headers.get("Conche-Dlq-Reason").unwrap();
    assert!(reason.contains("emit in a circle"), "{reason}");
}

async fn guests_ask_guests(on: On) {
    let host = TestHost::on(on, &["probe", "greeter"], "").await;
    let ask = r#"{"op":"cyverse.greeter.Greet","data":{"name":"Ada"}}"#;
    let answer = host.ask_json("cyverse.probe.Ask", ask).await.unwrap();
    assert!(answer.contains("Hello, Ada!"), "{answer}");
    let nobody = r#"{"op":"cyverse.nobody.Get"}"#;
    let answer = host.ask_json("cyverse.probe.Ask", nobody).await.unwrap();
    assert!(answer.contains("no-responders"), "{answer}");
}

/// Asks over and over; what each got.
async fn asker(host: &TestHost, op: &str, until: impl Fn(&str) -> bool) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        let answer = match host.ask(op, "{}").await {
            Ok(message) if Fault::from_message(&message).is_some() => "fault".to_owned(),
            Ok(message) => String::from_utf8_lossy(&message.body).into_owned(),
            Err(error) => error,
        };
        let last = until(&answer);
        got.push(answer);
        if last {
            return got;
        }
    }
}

async fn a_removed_plugin_answers_what_was_on_its_way(on: On) {
    let host = TestHost::on(on, &["versioned_v1"], "").await;
    let op = "cyverse.versioned.Get";
    let gone = |answer: &str| answer == "nobody answers";
    let remove = async {
        host.ask_until(op, "{}", |answer| answer.contains("1.0.0"))
            .await;
        std::fs::remove_file(host.dir.path().join("versioned_v1.wasm")).unwrap();
    };
    let (a, b, c, ()) = tokio::join!(
        asker(&host, op, gone),
        asker(&host, op, gone),
        asker(&host, op, gone),
        remove
    );
    for got in [a, b, c] {
        let (last, before) = got.split_last().unwrap();
        assert_eq!(last, "nobody answers");
        let odd = before.iter().find(|answer| !answer.contains("1.0.0"));
        assert_eq!(odd, None);
    }
}

async fn a_swap_loses_no_query(on: On) {
    let host = TestHost::on(on, &[], "").await;
    let put = |name: &str| {
        let temporary = host.dir.path().join("versioned.part");
        std::fs::copy(guest(name), &temporary).unwrap();
        std::fs::rename(&temporary, host.dir.path().join("versioned.wasm")).unwrap();
    };
    let op = "cyverse.versioned.Get";
    put("versioned_v1");
    host.ask_until(op, "{}", |answer| answer.contains("1.0.0"))
        .await;
    let new = |answer: &str| answer.contains("2.0.0");
    let swap = async { put("versioned_v2") };
    let (a, b, ()) = tokio::join!(asker(&host, op, new), asker(&host, op, new), swap);
    for answer in a.iter().chain(&b) {
        assert!(
            answer.contains("1.0.0") || answer.contains("2.0.0"),
            "{answer}"
        );
    }
}
