//! A small real case.
//!
//! The query `cyverse.orders.Create` takes `{"customer", "items": [{"sku", "quantity", "cents"}]}`,
//! answers the order's number and total, and emits `org.cyverse.events.OrderCreated`; an order that
//! is not acceptable is answered with a fault 422 that lists all that is wrong.
//!
//! The event `org.cyverse.events.PaymentFailed` asks to be retried until the third delivery, since
//! such a payment often settles by itself; then it emits `org.cyverse.events.OrderOnHold`.

use std::time::Duration;

use conche_guest::{Draft, EventError, Fault, call, config, emit, info, warn};

const SETTLE_ATTEMPTS: u32 = 3;
const SETTLE_WAIT: Duration = Duration::from_secs(1);
const MAX_QUANTITY: u32 = 100;

#[derive(Debug, serde::Deserialize)]
struct Order {
    customer: String,
    items: Vec<Item>,
}

#[derive(Debug, serde::Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
    cents: u64,
}

#[derive(Debug, PartialEq, serde::Serialize)]
struct Created {
    order: String,
    customer: String,
    total_cents: u64,
}

/// One thing that is wrong with an order, for programs: `details` of the fault holds them all.
#[derive(Debug, PartialEq, serde::Serialize)]
struct Mistake {
    field: String,
    reason: String,
}

#[derive(Debug, serde::Deserialize)]
struct PaymentFailed {
    order: String,
    reason: String,
    /// The provider says that trying again is of no use.
    #[serde(default)]
    is_final: bool,
}

#[derive(Debug, serde::Serialize)]
struct OnHold {
    order: String,
    reason: String,
}

fn create(order: Order) -> Result<Created, Fault> {
    let total_cents = check(&order)?;
    // The same query, asked again, is the same order: the number comes from the call.
    let created = Created {
        order: format!("o-{}", call::idempotency_key()),
        customer: order.customer,
        total_cents,
    };
    let draft = Draft::new("org.cyverse.events.OrderCreated").subject(&created.order);
    emit(draft.key("created").json(&created)?)?;
    info!(order = created.order, total_cents = total_cents; "order created");
    Ok(created)
}

/// The total of an acceptable order. Finds every mistake at once, for who has to mend them.
fn check(order: &Order) -> Result<u64, Fault> {
    let mut mistakes = Vec::new();
    let mut mistake = |field: String, reason: String| mistakes.push(Mistake { field, reason });
    if order.customer.trim().is_empty() {
        mistake("customer".to_owned(), "is empty".to_owned());
    }
    if order.items.is_empty() {
        mistake("items".to_owned(), "is empty".to_owned());
    }
    let mut total: Option<u64> = Some(0);
    for (index, item) in order.items.iter().enumerate() {
        if item.sku.trim().is_empty() {
            mistake(format!("items[{index}].sku"), "is empty".to_owned());
        }
        if !(1..=MAX_QUANTITY).contains(&item.quantity) {
            let reason = format!("is {}, not within 1 and {MAX_QUANTITY}", item.quantity);
            mistake(format!("items[{index}].quantity"), reason);
        }
        let price = item.cents.checked_mul(u64::from(item.quantity));
        total = total
            .zip(price)
            .and_then(|(total, price)| total.checked_add(price));
    }
    if total.is_none() {
        mistake(
            "items".to_owned(),
            "costs more than can be counted".to_owned(),
        );
    }
    match total {
        Some(total) if mistakes.is_empty() => Ok(total),
        _ => Err(Fault::unprocessable("the order is not acceptable").details(&mistakes)),
    }
}

fn payment_failed(payment: PaymentFailed) -> Result<(), EventError> {
    let attempts = config::parse("settle-attempts")?.unwrap_or(SETTLE_ATTEMPTS);
    settle_or_wait(&payment, call::attempt(), attempts)?;
    warn!(order = payment.order; "payment failed for good");
    let draft = Draft::new("org.cyverse.events.OrderOnHold")
        .subject(&payment.order)
        .key("on-hold");
    emit(draft.json(&OnHold {
        order: payment.order,
        reason: payment.reason,
    })?)?;
    Ok(())
}

/// Asks to come again while the payment may still settle.
fn settle_or_wait(payment: &PaymentFailed, attempt: u32, attempts: u32) -> Result<(), EventError> {
    if payment.is_final || attempt >= attempts {
        return Ok(());
    }
    let message = format!(
        "payment of {} not settled yet: {}",
        payment.order, payment.reason
    );
    Err(EventError::retry_after(message, SETTLE_WAIT))
}

conche_guest::plugin! {
    reusable,
    query "cyverse.orders.Create" => create,
    event "org.cyverse.events.PaymentFailed" => payment_failed,
}

#[cfg(test)]
mod tests {
    use conche_guest::Payload;
    use conche_guest::testing::{Effects, Host, Incoming, Value, json};

    use super::*;

    fn order(customer: &str, items: &[(&str, u32, u64)]) -> Order {
        let item = |&(sku, quantity, cents): &(&str, u32, u64)| Item {
            sku: sku.to_owned(),
            quantity,
            cents,
        };
        Order {
            customer: customer.to_owned(),
            items: items.iter().map(item).collect(),
        }
    }

    #[test]
    fn totals() {
        assert_eq!(
            check(&order("ada", &[("tea", 2, 350), ("cup", 1, 900)])),
            Ok(1600)
        );
    }

    #[test]
    fn all_mistakes_at_once() {
        let fault = check(&order(" ", &[("tea", 0, 350), ("", 1, 1)])).unwrap_err();
        assert_eq!(fault.code, 422);
        let Some(Payload::Json(details)) = fault.details else {
            panic!("no details")
        };
        assert_eq!(
            details,
            concat!(
                r#"[{"field":"customer","reason":"is empty"},"#,
                r#"{"field":"items[0].quantity","reason":"is 0, not within 1 and 100"},"#,
                r#"{"field":"items[1].sku","reason":"is empty"}]"#
            )
        );
    }

    #[test]
    fn a_sum_that_overflows_is_a_mistake() {
        let fault = check(&order("ada", &[("a", 2, u64::MAX)])).unwrap_err();
        assert_eq!(fault.code, 422);
    }

    fn failed_payment() -> Incoming {
        let data = json!({ "order": "o-1", "reason": "declined" });
        Incoming::new("org.cyverse.events.PaymentFailed").json(&data)
    }

    #[test]
    fn an_order_is_created_and_said() {
        let data =
            json!({ "customer": "ada", "items": [{ "sku": "tea", "quantity": 2, "cents": 350 }] });
        let query = Incoming::new("cyverse.orders.Create").json(&data);
        let mut host = Host::new();
        let outcome = PLUGIN.query(&mut host, query.clone());
        let created: Value = outcome.reply();
        assert_eq!(created["total_cents"], json!(700));
        let said = &outcome.effects.emitted[0];
        assert_eq!(said.type_, "org.cyverse.events.OrderCreated");
        assert_eq!(said.subject.as_deref(), created["order"].as_str());
        assert_eq!(said.parse::<Value>().as_ref(), Ok(&created));
        // The same query again is the same order.
        let again = PLUGIN.query(&mut host, query);
        assert_eq!(again.reply::<Value>(), created);
        assert_eq!(again.effects, outcome.effects);
    }

    #[test]
    fn an_order_that_is_not_acceptable_says_nothing() {
        let data = json!({ "customer": "ada", "items": [] });
        let query = Incoming::new("cyverse.orders.Create").json(&data);
        let outcome = PLUGIN.query(&mut Host::new(), query);
        assert_eq!(outcome.fault().code, 422);
        assert_eq!(outcome.discarded, Effects::default());
    }

    #[test]
    fn waits_until_the_last_attempt() {
        let mut host = Host::new();
        host.config("settle-attempts", "2");
        let first = PLUGIN.event(&mut host, failed_payment());
        let text = "payment of o-1 not settled yet: declined";
        let later = EventError::retry_after(text, SETTLE_WAIT);
        assert_eq!(first.result, Err(later));

        let last = PLUGIN.event(host.attempt(2), failed_payment());
        assert_eq!(last.result, Ok(()));
        let on_hold = &last.effects.emitted[0];
        assert_eq!(on_hold.type_, "org.cyverse.events.OrderOnHold");
        let expected = json!({ "order": "o-1", "reason": "declined" });
        assert_eq!(on_hold.parse(), Ok(expected));
    }

    #[test]
    fn a_final_failure_is_not_waited_for() {
        let data = json!({ "order": "o-1", "reason": "stolen", "is_final": true });
        let event = Incoming::new("org.cyverse.events.PaymentFailed").json(&data);
        let outcome = PLUGIN.event(&mut Host::new(), event);
        assert_eq!(outcome.effects.emitted.len(), 1);
    }

    #[test]
    fn attempts_that_are_no_number_are_retried_until_they_are() {
        let mut host = Host::new();
        host.config("settle-attempts", "many");
        let outcome = PLUGIN.event(&mut host, failed_payment());
        let text = "`settle-attempts` in [config]: invalid digit found in string";
        assert_eq!(outcome.result, Err(EventError::retry(text)));
    }
}
