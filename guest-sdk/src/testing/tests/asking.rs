//! What a handler asks of others, answered by the test.

use super::*;

fn ask(_: Query) -> Result<String, Fault> {
    request(Draft::new("cyverse.users.Name").json(&7)?, None)?.parse()
}

#[test]
fn requests_are_answered_as_the_test_says() {
    let mut host = Host::new();
    let nobody = host.query(ask, query());
    assert_eq!(nobody.fault(), &Fault::new(503, "nobody answers"));
    assert_eq!(nobody.requests.len(), 1);

    host.answer("cyverse.users.Name", "Ada");
    let outcome = host.query(ask, query());
    assert_eq!(outcome.reply::<String>(), "Ada");
    assert_eq!(outcome.requests[0].parse(), Ok(7));
    assert_eq!(outcome.requests[0].transaction_id.as_deref(), Some("tid-1"));

    host.answer_with("cyverse.users.Name", |asked| {
        Err(SendError::Remote(Fault::not_found(&asked.type_)))
    });
    let fault = Fault::not_found("cyverse.users.Name");
    assert_eq!(host.query(ask, query()).fault(), &fault);

    host.fail("cyverse.users.Name", SendError::Busy);
    let refused = host.query(ask, query());
    assert_eq!(refused.fault(), &Fault::new(503, "busy"));
    assert!(refused.requests.is_empty(), "it was not sent");
}

#[test]
fn another_handler_can_answer() {
    fn name(id: u32) -> Result<String, Fault> {
        info!("asked for {id}");
        Ok(format!("user {id}"))
    }
    let mut host = Host::new();
    host.answer_with("cyverse.users.Name", |asked| {
        let outcome = Host::new().query(name, asked.clone());
        assert_eq!(outcome.log[0].message, "asked for 7");
        match outcome.result {
            Ok(Answer::Reply(reply)) => Ok(reply),
            Ok(Answer::Silence) => Err(SendError::TimedOut),
            Err(fault) => Err(SendError::Remote(fault)),
        }
    });
    let outcome = host.query(ask, query());
    assert_eq!(outcome.reply::<String>(), "user 7");
    assert!(outcome.log.is_empty(), "that is the other's");
}

#[test]
fn requests_that_go_together_are_answered_in_order() {
    fn all(_: Query) -> Result<Vec<String>, Fault> {
        let queries = ["a.One", "a.Two", "a.Three"].map(Draft::new);
        let answers = crate::request_all(&queries, Duration::from_secs(1));
        let shown = answers.into_iter().map(|answer| match answer {
            Ok(answer) => answer.parse(),
            Err(error) => Ok(error.to_string()),
        });
        shown.collect()
    }
    let mut host = Host::new();
    host.answer("a.Three", "3").answer("a.One", "1");
    let reply: Value = host.query(all, query()).reply();
    assert_eq!(reply, json!(["1", "nobody answers", "3"]));
}

#[test]
fn an_exchange_waits_for_its_types_and_is_not_taken_back() {
    fn pay(query: Query) -> Result<String, Fault> {
        let asked = Draft::new("a.Asked").json(&json!({}))?;
        let answer = exchange(asked, &["a.Paid", "a.Failed"], None)?;
        assert_eq!(answer.transaction_id, query.transaction_id);
        Ok(answer.type_)
    }
    let mut host = Host::new();
    let alone = host.query(pay, query());
    assert_eq!(alone.fault(), &Fault::new(504, "timed out"));
    assert_eq!(alone.exchanges[0].type_, "a.Asked");
    host.answer_exchange("a.Asked", "a.Paid", &1);
    let paid = host.query(pay, query());
    assert_eq!(paid.reply::<String>(), "a.Paid");
    assert_eq!(paid.exchanges[0].id, alone.exchanges[0].id);
    host.answer_exchange("a.Asked", "a.Else", &1);
    assert_eq!(host.query(pay, query()).fault().code, 504);
}

#[test]
fn an_exchange_without_a_transaction_begins_one() {
    fn pay(_: Query) -> Result<Option<String>, Fault> {
        Ok(exchange(Draft::new("a.Asked"), &["a.Paid"], None)?.transaction_id)
    }
    let mut host = Host::new();
    host.answer_exchange("a.Asked", "a.Paid", &1);
    let outcome = host.query(pay, Incoming::new(OP));
    let begun = outcome.exchanges[0].transaction_id.clone().unwrap();
    assert!(begun.starts_with("tid-"));
    assert_eq!(outcome.reply::<String>(), begun);
}
