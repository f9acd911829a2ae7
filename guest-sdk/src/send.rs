//! Messages to others: events kept back until the handler succeeds, questions asked now.

use std::time::Duration;

use crate::errors::{SendError, milliseconds};
use crate::host::{emit as emits, exchange as exchanges, request as requests};
use crate::message::{CloudEvent, Draft};

/// Emits an event. It is kept back and released only if the handler succeeds; answers the id it
/// will carry. Needs `emit` in the policy's `[grants]`.
///
/// # Errors
/// Not granted, over the call's budget, or invalid.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a draft is made to be sent once"
)]
pub fn emit(event: Draft) -> Result<String, SendError> {
    emits::emit(&event)
}

/// Asks a query now and waits for its answer. Needs `request` in the policy's `[grants]`.
/// The time-out is capped below [`call::remaining`](crate::call::remaining); none: the host's.
///
/// # Errors
/// Everything that [`SendError`] lists; a fault of the other side is [`SendError::Remote`].
#[expect(
    clippy::needless_pass_by_value,
    reason = "a draft is made to be sent once"
)]
pub fn request(
    query: Draft,
    timeout: impl Into<Option<Duration>>,
) -> Result<CloudEvent, SendError> {
    requests::request(&query, timeout.into().map(milliseconds))
}

/// Asks several queries at once; the answers stand in the order of the queries. The time-out is
/// that of the whole.
pub fn request_all(
    queries: &[Draft],
    timeout: impl Into<Option<Duration>>,
) -> Vec<Result<CloudEvent, SendError>> {
    requests::request_all(queries, timeout.into().map(milliseconds))
}

/// Publishes an event *now* (no later failure undoes it; a retry repeats its id), then waits for
/// the first event of one of these types with the same transaction id. Without one, in the draft
/// or in the call, it begins a transaction. Needs `exchange` in the policy's `[grants]`, for the type
/// that is sent and for those that are waited for. Counts as a request, and waits as long as one.
///
/// Do not wait so for what this plugin handles itself: its other events may come first, and take
/// every slot while they wait for the same. [`request`] is made for that.
///
/// ```no_run
/// use conche_guest::{CloudEvent, Draft, SendError, exchange};
/// # fn pay(order: &str) -> Result<CloudEvent, SendError> {
/// let asked = Draft::new("org.cyverse.events.PaymentRequested").json(&order)?;
/// let answers = ["org.cyverse.events.Paid", "org.cyverse.events.PaymentFailed"];
/// exchange(asked, &answers, None)
/// # }
/// ```
///
/// # Errors
/// Everything that [`SendError`] lists; [`SendError::TimedOut`] when no such event came.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a draft is made to be sent once"
)]
pub fn exchange(
    event: Draft,
    answer_types: &[&str],
    timeout: impl Into<Option<Duration>>,
) -> Result<CloudEvent, SendError> {
    let types: Vec<String> = answer_types.iter().map(|one| (*one).to_owned()).collect();
    exchanges::exchange(&event, &types, timeout.into().map(milliseconds))
}
