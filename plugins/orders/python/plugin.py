"""A small real case.

The query `cyverse.orders.Create` takes `{"customer", "items": [{"sku", "quantity", "cents"}]}`,
answers the order's number and total, and emits `org.cyverse.events.OrderCreated`; an order that is
not acceptable is answered with a fault 422 that lists all that is wrong.

The event `org.cyverse.events.PaymentFailed` asks to be retried until the third delivery, since such
a payment often settles by itself; then it emits `org.cyverse.events.OrderOnHold`.
"""

from dataclasses import dataclass

from conche import Fault, Retry, call, config, emit, event, log, query, reusable

SETTLE_ATTEMPTS = 3
SETTLE_WAIT = 1.0
MAX_QUANTITY = 100
# Others who count orders do it in 64 bits.
MAX_CENTS = 2**64 - 1

reusable()


@dataclass
class Item:
    sku: str
    quantity: int
    cents: int

    def __post_init__(self) -> None:
        """What is no number of things, or of cents, at all."""
        if not 0 <= self.quantity < 2**32:
            raise ValueError(f"{self.quantity} is no quantity")
        if not 0 <= self.cents <= MAX_CENTS:
            raise ValueError(f"{self.cents} is no price")


@dataclass
class Order:
    customer: str
    items: list[Item]


@dataclass
class Created:
    order: str
    customer: str
    total_cents: int


@dataclass
class Mistake:
    """One thing that is wrong with an order, for programs: `details` of the fault holds them all."""

    field: str
    reason: str


@dataclass
class PaymentFailed:
    order: str
    reason: str
    is_final: bool = False
    """The provider says that trying again is of no use."""


@query("cyverse.orders.Create")
def create(order: Order) -> Created:
    total = check(order)
    # The same query, asked again, is the same order: the number comes from the call.
    created = Created(f"o-{call.idempotency_key()}", order.customer, total)
    emit("org.cyverse.events.OrderCreated", created, subject=created.order, key="created")
    log.info("order created", order=created.order, total_cents=total)
    return created


def check(order: Order) -> int:
    """The total of an acceptable order. Finds every mistake at once, for who has to mend them."""
    mistakes = []
    if not order.customer.strip():
        mistakes.append(Mistake("customer", "is empty"))
    if not order.items:
        mistakes.append(Mistake("items", "is empty"))
    for index, item in enumerate(order.items):
        if not item.sku.strip():
            mistakes.append(Mistake(f"items[{index}].sku", "is empty"))
        if not 1 <= item.quantity <= MAX_QUANTITY:
            reason = f"is {item.quantity}, not within 1 and {MAX_QUANTITY}"
            mistakes.append(Mistake(f"items[{index}].quantity", reason))
    total = sum(item.cents * item.quantity for item in order.items)
    if total > MAX_CENTS:
        mistakes.append(Mistake("items", "costs more than can be counted"))
    if mistakes:
        raise Fault.unprocessable("the order is not acceptable", details=mistakes)
    return total


def count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("is below nothing")
    return number


@event("org.cyverse.events.PaymentFailed")
def payment_failed(payment: PaymentFailed) -> None:
    attempts = config.parse("settle-attempts", count, SETTLE_ATTEMPTS)
    # While it may still settle, it shall come again.
    if not payment.is_final and call.attempt() < attempts:
        message = f"payment of {payment.order} not settled yet: {payment.reason}"
        raise Retry(message, after=SETTLE_WAIT)
    log.warn("payment failed for good", order=payment.order)
    on_hold = {"order": payment.order, "reason": payment.reason}
    emit("org.cyverse.events.OrderOnHold", on_hold, subject=payment.order, key="on-hold")
