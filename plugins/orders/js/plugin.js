// A small real case.
//
// The query `cyverse.orders.Create` takes `{"customer", "items": [{"sku", "quantity", "cents"}]}`,
// answers the order's number and total, and emits `org.cyverse.events.OrderCreated`; an order that
// is not acceptable is answered with a fault 422 that lists all that is wrong.
//
// The event `org.cyverse.events.PaymentFailed` asks to be retried until the third delivery, since
// such a payment often settles by itself; then it emits `org.cyverse.events.OrderOnHold`.
import { Fault, Retry, call, config, emit, event, fields, log, query, reusable } from "@conche/guest";

const SETTLE_ATTEMPTS = 3;
const SETTLE_WAIT_MS = 1000;
const MAX_QUANTITY = 100;

const Order = fields({
  customer: "string",
  items: [{ sku: "string", quantity: "natural", cents: "natural" }],
});

const PaymentFailed = fields({
  order: "string",
  reason: "string",
  // The provider says that trying again is of no use.
  "is_final?": "boolean",
});

reusable();

query("cyverse.orders.Create", Order, function create({ customer, items }) {
  const total_cents = check(customer, items);
  // The same query, asked again, is the same order: the number comes from the call.
  const order = `o-${call.idempotencyKey}`;
  const created = { order, customer, total_cents };
  emit({ type: "org.cyverse.events.OrderCreated", subject: order, key: "created", data: created });
  log.info("order created", { order, total_cents });
  return created;
});

/** The total of an acceptable order. Finds every mistake at once, for who has to mend them. */
function check(customer, items) {
  const mistakes = [];
  const mistake = (field, reason) => mistakes.push({ field, reason });
  if (customer.trim() === "") mistake("customer", "is empty");
  if (items.length === 0) mistake("items", "is empty");
  let total = 0;
  items.forEach(({ sku, quantity, cents }, index) => {
    if (sku.trim() === "") mistake(`items[${index}].sku`, "is empty");
    if (quantity < 1 || quantity > MAX_QUANTITY) {
      mistake(`items[${index}].quantity`, `is ${quantity}, not within 1 and ${MAX_QUANTITY}`);
    }
    total += quantity * cents;
  });
  // Beyond it, numbers are no longer exact.
  if (total > Number.MAX_SAFE_INTEGER) mistake("items", "costs more than can be counted");
  if (mistakes.length > 0) throw new Fault(422, "the order is not acceptable", { details: mistakes });
  return total;
}

event("org.cyverse.events.PaymentFailed", PaymentFailed, function payment_failed({ order, reason, is_final }) {
  const attempts = config.integer("settle-attempts", { least: 0 }) ?? SETTLE_ATTEMPTS;
  if (!is_final && call.attempt < attempts) {
    throw new Retry(`payment of ${order} not settled yet: ${reason}`, { afterMs: SETTLE_WAIT_MS });
  }
  log.warn("payment failed for good", { order });
  emit({ type: "org.cyverse.events.OrderOnHold", subject: order, key: "on-hold", data: { order, reason } });
});
