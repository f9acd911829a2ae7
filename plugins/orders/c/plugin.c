// A small real case.
//
// The query `cyverse.orders.Create` takes `{"customer", "items": [{"sku", "quantity", "cents"}]}`,
// answers the order's number and total, and emits `org.cyverse.events.OrderCreated`; an order that
// is not acceptable is answered with a fault 422 that lists all that is wrong.
//
// The event `org.cyverse.events.PaymentFailed` asks to be retried until the third delivery, since
// such a payment often settles by itself; then it emits `org.cyverse.events.OrderOnHold`.

#include <conche.h>

#include <inttypes.h>
#include <stdckdint.h>
#include <string.h>

#define SETTLE_ATTEMPTS 3
#define SETTLE_WAIT_MS 1000
#define MAX_QUANTITY 100

// What is wrong with an order, for programs: `details` of the fault holds it all.
typedef struct mistakes {
    conche_writer *list;
    size_t count;
} mistakes;

static void mistake(mistakes *all, const char *field, const char *reason) {
    conche_put_object(all->list, NULL);
    conche_put_string(all->list, "field", conche_str_of(field));
    conche_put_string(all->list, "reason", conche_str_of(reason));
    conche_end(all->list);
    all->count++;
}

static bool is_blank(conche_str text) {
    return strspn(text.ptr, " \t\r\n") == text.len;
}

// Adds what the item costs to the total; false if that is more than can be counted.
static bool count_up(uint64_t *total, uint32_t quantity, uint64_t cents) {
    uint64_t price;
    return !ckd_mul(&price, cents, quantity) && !ckd_add(total, *total, price);
}

// The total of an acceptable order. Finds every mistake at once, for who has to mend them.
static conche_error *check(conche_str customer, const conche_value *items, uint64_t *total) {
    mistakes all = {.list = conche_write()};
    conche_put_array(all.list, NULL);
    if (is_blank(customer))
        mistake(&all, "customer", "is empty");
    if (items->first == NULL)
        mistake(&all, "items", "is empty");
    bool countable = true;
    size_t index = 0;
    *total = 0;
    for (const conche_value *item = items->first; item != NULL; item = item->next, index++) {
        conche_str sku;
        uint32_t quantity;
        uint64_t cents;
        CONCHE_TRY(conche_get_string(item, "sku", &sku));
        CONCHE_TRY(conche_get_u32(item, "quantity", &quantity));
        CONCHE_TRY(conche_get_u64(item, "cents", &cents));
        if (is_blank(sku))
            mistake(&all, conche_format("items[%zu].sku", index).ptr, "is empty");
        if (quantity < 1 || quantity > MAX_QUANTITY)
            mistake(&all, conche_format("items[%zu].quantity", index).ptr,
                    conche_format("is %u, not within 1 and %d", quantity, MAX_QUANTITY).ptr);
        countable = count_up(total, quantity, cents) && countable;
    }
    if (!countable)
        mistake(&all, "items", "costs more than can be counted");
    if (all.count > 0)
        return conche_with_details(conche_fault(422, "the order is not acceptable"), all.list);
    return NULL;
}

static conche_error *create(const conche_value *ask, conche_writer *answer) {
    conche_str customer;
    const conche_value *items;
    uint64_t total;
    CONCHE_TRY(conche_get_string(ask, "customer", &customer));
    CONCHE_TRY(conche_get_array(ask, "items", &items));
    CONCHE_TRY(check(customer, items, &total));
    // The same query, asked again, is the same order: the number comes from the call.
    conche_str order = conche_format("o-%s", conche_idempotency_key().ptr);
    conche_put_string(answer, "order", order);
    conche_put_string(answer, "customer", customer);
    conche_put_u64(answer, "total_cents", total);
    conche_draft created = {
        .type = CONCHE_STR("org.cyverse.events.OrderCreated"),
        .subject = order,
        .key = CONCHE_STR("created"),
        .data = conche_json_of(answer),
    };
    CONCHE_TRY(conche_emit(&created, NULL));
    conche_log(CONCHE_INFO, "order created", {"order", order}, {"total_cents", conche_format("%" PRIu64, total)});
    return NULL;
}

static conche_error *payment_failed(const conche_value *payment) {
    conche_str order, reason;
    bool is_final = false; // the provider says that trying again is of no use
    uint32_t attempts = SETTLE_ATTEMPTS;
    CONCHE_TRY(conche_get_string(payment, "order", &order));
    CONCHE_TRY(conche_get_string(payment, "reason", &reason));
    CONCHE_TRY(conche_opt_bool(payment, "is_final", &is_final));
    CONCHE_TRY(conche_config_u32("settle-attempts", &attempts));
    if (!is_final && conche_attempt() < attempts)
        return conche_retry_after(SETTLE_WAIT_MS, "payment of %s not settled yet: %s", order.ptr, reason.ptr);
    conche_log(CONCHE_WARN, "payment failed for good", {"order", order});
    conche_writer *data = conche_write();
    conche_put_string(data, "order", order);
    conche_put_string(data, "reason", reason);
    conche_draft on_hold = {
        .type = CONCHE_STR("org.cyverse.events.OrderOnHold"),
        .subject = order,
        .key = CONCHE_STR("on-hold"),
        .data = conche_json_of(data),
    };
    return conche_emit(&on_hold, NULL);
}

CONCHE_PLUGIN(CONCHE_REUSABLE,
              CONCHE_QUERY(create, "cyverse.orders.Create"),
              CONCHE_EVENT(payment_failed, "org.cyverse.events.PaymentFailed"))
