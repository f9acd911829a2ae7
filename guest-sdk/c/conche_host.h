/* What a handler can do: send, listen, log, read its configuration, ask about the call in progress.
 * Part of conche.h. */
#ifndef CONCHE_HOST_H
#define CONCHE_HOST_H

/* ---- sending; each needs a grant in the policy ---- */

/* Kept back and released only if the handler succeeds. `id`, unless NULL, gets the id it will carry. */
conche_error *conche_emit(const conche_draft *event, conche_str *id);

/* As a time-out: the host's own. */
#define CONCHE_DEFAULT_TIMEOUT 0

/* Asks now and waits for the answer. The time-out is capped below what the call has left. */
conche_error *conche_request(const conche_draft *query, uint32_t timeout_ms, conche_event *answer);

typedef struct conche_answer {
    conche_error *error; /* NULL: answered */
    conche_event event;
} conche_answer;

/* Asks several at once: the answers stand in the order of the queries. The time-out is that of the
 * whole. */
void conche_request_all(const conche_draft *queries, size_t count, uint32_t timeout_ms, conche_answer *answers);

/* Publishes an event NOW (no later failure undoes it, a retry repeats its id), then waits for the first
 * event of one of these types (NULL after the last) with the same transaction id. */
conche_error *conche_exchange(const conche_draft *event, const char *const *answer_types, uint32_t timeout_ms,
                              conche_event *answer);

/* ---- listeners: changes are done if the handler succeeds, before its emits are released ---- */

typedef struct conche_listener {
    const char *handler;       /* the name of a CONCHE_LISTENER */
    const char *const *types;  /* NULL after the last. None at all: any type, by transaction id */
    conche_str transaction_id; /* only events with this one */
    bool once;                 /* gone after its first match */
    conche_str state;          /* handed back in `state` of the event */
    uint32_t expires_ms;       /* 0: the policy's longest */
} conche_listener;

/* `id`, unless NULL, gets the id to remove it by. */
conche_error *conche_add_listener(const conche_listener *listener, conche_str *id);
conche_error *conche_remove_listener(conche_str id);

/* ---- the policy's [config] ---- */

/* None without the key. */
conche_str conche_config(const char *key);
/* `out` stays as it was without the key. A value that is no number of this size is an error. */
conche_error *conche_config_u32(const char *key, uint32_t *out);
size_t conche_config_keys(const conche_str **keys);

/* ---- the log ---- */

typedef enum conche_level {
    CONCHE_TRACE,
    CONCHE_DEBUG,
    CONCHE_INFO,
    CONCHE_WARN,
    CONCHE_ERROR,
    CONCHE_CRITICAL,
} conche_level;

typedef struct conche_field {
    const char *key;
    conche_str value;
} conche_field;

/* conche_log(CONCHE_INFO, "order created", {"order", order}, {"total", conche_format("%d", total)}) */
#define conche_log(level, message, ...) \
    conche_log_fields(level, message, (const conche_field[]){__VA_ARGS__ __VA_OPT__(, ){NULL, {NULL, 0}}})

/* A field without key ends them. */
void conche_log_fields(conche_level level, const char *message, const conche_field *fields);

/* ---- the call in progress ---- */

/* 1 at the first delivery of an event, more when it comes again; always 1 for a query. */
uint32_t conche_attempt(void);
/* Equal at every delivery of this event to this handler: for effects outside Conche. */
conche_str conche_idempotency_key(void);
/* Wall-clock time left, waiting included. */
uint32_t conche_remaining_ms(void);
/* How many requests lie between whoever began this and this call. */
uint32_t conche_hops(void);

#endif
