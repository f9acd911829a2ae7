// Every capability of the SDK once, as the cases in `../tests` want it.

#include <conche.h>

#define EVENTS "org.cyverse.events.capabilities."
#define TIMEOUT_MS 200

static conche_error *tell(conche_payload data) {
    conche_draft told = {.type = CONCHE_STR(EVENTS "Told"), .data = data};
    return conche_emit(&told, NULL);
}

// ---- whole messages ----

static conche_error *echo(const conche_event *query, conche_reply *reply) {
    *reply = (conche_reply){
        .type = CONCHE_STR("cyverse.capabilities.Echoed"),
        .subject = query->subject,
        .datacontenttype = query->datacontenttype,
        .dataschema = query->dataschema,
        .extensions = query->extensions,
        .extension_count = query->extension_count,
        .data = query->data,
    };
    return NULL;
}

static conche_error *silence(const conche_event *, conche_reply *reply) {
    reply->silence = true;
    return NULL;
}

static conche_error *copy(const conche_event *event) {
    conche_draft copied = {
        .type = CONCHE_STR(EVENTS "Copied"),
        .subject = event->subject,
        .datacontenttype = event->datacontenttype,
        .dataschema = event->dataschema,
        .transaction_id = CONCHE_STR("tid-of-the-copy"),
        .extensions = event->extensions,
        .extension_count = event->extension_count,
        .data = event->data,
        .key = CONCHE_STR("copy"),
    };
    CONCHE_TRY(conche_emit(&copied, NULL));
    conche_draft bare = {.type = CONCHE_STR(EVENTS "Bare")};
    return conche_emit(&bare, NULL);
}

static conche_error *rest(const conche_event *query, conche_reply *reply) {
    conche_writer *answer = conche_write();
    conche_put_string(answer, "rest", query->type);
    reply->data = conche_json_of(answer);
    return NULL;
}

static conche_error *tell_rest(const conche_event *event) {
    conche_writer *data = conche_write();
    conche_put_string(data, "rest", event->type);
    return tell(conche_json_of(data));
}

// ---- the host ----

static conche_payload facts_of(const conche_event *event) {
    conche_writer *data = conche_write();
    conche_put_string(data, "handler", event->handler);
    conche_put_u64(data, "attempt", conche_attempt());
    conche_put_string(data, "idempotency_key", conche_idempotency_key());
    conche_put_u64(data, "hops", conche_hops());
    conche_put_bool(data, "in_time", conche_remaining_ms() > 0);
    return conche_json_of(data);
}

static conche_error *facts(const conche_event *query, conche_reply *reply) {
    reply->data = facts_of(query);
    return NULL;
}

static conche_error *tell_facts(const conche_event *event) {
    return tell(facts_of(event));
}

static conche_error *configuration(const conche_value *, conche_writer *answer) {
    const conche_str *keys;
    size_t count = conche_config_keys(&keys);
    conche_put_array(answer, "keys");
    for (size_t index = 0; index < count; index++)
        conche_put_string(answer, NULL, keys[index]);
    conche_end(answer);
    conche_put_string(answer, "colour", conche_config("colour"));
    conche_put_string(answer, "taste", conche_config("taste"));
    if (conche_config("limit").ptr == NULL) {
        conche_put_null(answer, "limit");
        return NULL;
    }
    uint32_t limit;
    CONCHE_TRY(conche_config_u32("limit", &limit));
    conche_put_u64(answer, "limit", limit);
    return NULL;
}

static conche_error *lines(const conche_value *, conche_writer *) {
    conche_log(CONCHE_TRACE, "one", {"n", CONCHE_STR("1")}, {"word", CONCHE_STR("Zoë")});
    conche_log(CONCHE_DEBUG, "two", {"n", conche_format("%d", 2)});
    conche_log(CONCHE_INFO, "three");
    conche_log(CONCHE_WARN, "four");
    conche_log(CONCHE_ERROR, "five");
    conche_log(CONCHE_CRITICAL, "six");
    return NULL;
}

static conche_error *handler_alone(const conche_event *query, conche_reply *reply) {
    conche_writer *answer = conche_write();
    conche_put_string(answer, "handler", query->handler);
    reply->data = conche_json_of(answer);
    return NULL;
}

static conche_error *configure(void) {
    conche_str refuse = conche_config("refuse"), op = conche_config("op"), handler = conche_config("handler");
    if (refuse.ptr != NULL)
        return conche_failure("%s", refuse.ptr);
    if (op.ptr != NULL)
        conche_on_query(handler.ptr != NULL ? handler.ptr : "late", op.ptr);
    return NULL;
}

// ---- sending ----

static conche_error *ask_by_subject(const conche_event *event, conche_event *answer) {
    conche_draft query = {.type = event->subject, .subject = CONCHE_STR("asked"), .data = event->data};
    return conche_request(&query, TIMEOUT_MS, answer);
}

static conche_error *ask(const conche_event *query, conche_reply *reply) {
    conche_event answer;
    CONCHE_TRY(ask_by_subject(query, &answer));
    *reply = (conche_reply){
        .subject = answer.subject,
        .datacontenttype = answer.datacontenttype,
        .extensions = answer.extensions,
        .extension_count = answer.extension_count,
        .data = answer.data,
    };
    return NULL;
}

static conche_error *tell_answer(const conche_event *event) {
    conche_event answer;
    CONCHE_TRY(ask_by_subject(event, &answer));
    return tell(answer.data);
}

static conche_error *ask_all(const conche_value *, conche_writer *all) {
    const conche_draft queries[] = {
        {.type = CONCHE_STR("cyverse.users.Get"), .data = conche_json(CONCHE_STR("{\"id\": 1}"))},
        {.type = CONCHE_STR("cyverse.users.Get"), .data = conche_json(CONCHE_STR("{\"id\": 2}"))},
        {.type = CONCHE_STR("cyverse.secrets.Get")},
        {.type = CONCHE_STR("cyverse.users.Count")},
    };
    conche_answer answers[4];
    conche_request_all(queries, 4, TIMEOUT_MS, answers);
    conche_put_array(all, NULL);
    for (size_t index = 0; index < 4; index++) {
        conche_put_object(all, NULL);
        if (answers[index].error != NULL)
            conche_put_string(all, "error", conche_error_text(answers[index].error));
        else
            conche_put_raw(all, "value", answers[index].event.data.bytes);
        conche_end(all);
    }
    return NULL;
}

static conche_error *exchange(const conche_event *query, conche_reply *reply) {
    conche_draft asked = {.type = CONCHE_STR(EVENTS "Asked"), .data = query->data};
    const char *const types[] = {EVENTS "No", EVENTS "Yes", NULL};
    conche_event answer;
    CONCHE_TRY(conche_exchange(&asked, types, TIMEOUT_MS, &answer));
    conche_writer *writer = conche_write();
    conche_put_string(writer, "type", answer.type);
    conche_put_raw(writer, "answer", answer.data.bytes);
    reply->data = conche_json_of(writer);
    return NULL;
}

static conche_error *emit(const conche_value *ask, conche_writer *answer) {
    conche_draft draft = {0};
    uint32_t times;
    CONCHE_TRY(conche_get_string(ask, "type", &draft.type));
    CONCHE_TRY(conche_get_u32(ask, "times", &times));
    conche_put_array(answer, "ids");
    for (; times > 0; times--) {
        conche_str id;
        CONCHE_TRY(conche_emit(&draft, &id));
        conche_put_string(answer, NULL, id);
    }
    return NULL;
}

static conche_error *emit_on_event(const conche_value *ask) {
    return emit(ask, conche_write());
}

// ---- listeners ----

static conche_error *listen(const conche_value *ask, conche_writer *answer) {
    static const char *const both[] = {EVENTS "Yes", EVENTS "No", NULL}, *const yes[] = {EVENTS "Yes", NULL};
    conche_str handler, id;
    bool by_transaction = false;
    CONCHE_TRY(conche_get_string(ask, "handler", &handler));
    CONCHE_TRY(conche_opt_bool(ask, "by_transaction", &by_transaction));
    conche_listener listener = {.handler = handler.ptr, .types = yes};
    if (by_transaction) {
        listener.types = both;
        listener.transaction_id = CONCHE_STR("tid-of-another");
        listener.once = true;
        listener.state = CONCHE_STR("where it stopped: Zoë");
        listener.expires_ms = 5000;
    }
    CONCHE_TRY(conche_add_listener(&listener, &id));
    if (by_transaction)
        CONCHE_TRY(conche_remove_listener(CONCHE_STR("listener-old")));
    conche_put_string(answer, "id", id);
    return NULL;
}

static conche_error *listen_on_event(const conche_value *ask) {
    return listen(ask, conche_write());
}

static conche_error *heard(const conche_event *event) {
    conche_writer *data = conche_write();
    conche_put_string(data, "handler", event->handler);
    conche_put_string(data, "listener", event->listener);
    conche_put_string(data, "state", event->state);
    conche_put_raw(data, "data", event->data.bytes);
    return tell(conche_json_of(data));
}

// ---- errors ----

static conche_error *fail_on_event(const conche_value *ask) {
    conche_str how;
    uint32_t code;
    CONCHE_TRY(conche_get_string(ask, "how", &how));
    CONCHE_TRY(conche_get_u32(ask, "code", &code));
    if (conche_str_is(how, "reject"))
        return conche_reject((uint16_t)code, "will never work");
    if (conche_str_is(how, "retry"))
        return conche_retry("not there yet");
    if (conche_str_is(how, "retry-after"))
        return conche_retry_after(1500, "not there yet");
    conche_writer *details = conche_write();
    conche_put_array(details, NULL);
    conche_put_object(details, NULL);
    conche_put_string(details, "field", CONCHE_STR("name"));
    return conche_with_details(conche_fault((uint16_t)code, "not acceptable"), details);
}

static conche_error *fail(const conche_value *ask, conche_writer *) {
    return fail_on_event(ask);
}

#define QUERIES "cyverse.capabilities."

CONCHE_PLUGIN(CONCHE_REUSABLE,
              CONCHE_REGISTER(configure),
              CONCHE_QUERY(echo, QUERIES "Echo"),
              CONCHE_QUERY(silence, QUERIES "Silence"),
              CONCHE_QUERY(facts, QUERIES "Facts"),
              CONCHE_QUERY(configuration, QUERIES "Config"),
              CONCHE_QUERY(lines, QUERIES "Log"),
              CONCHE_QUERY(ask, QUERIES "Ask"),
              CONCHE_QUERY(ask_all, QUERIES "AskAll"),
              CONCHE_QUERY(exchange, QUERIES "Exchange"),
              CONCHE_QUERY(emit, QUERIES "Emit"),
              CONCHE_QUERY(listen, QUERIES "Listen"),
              CONCHE_QUERY(fail, QUERIES "Fail"),
              CONCHE_QUERY_AS("late", handler_alone),
              CONCHE_ANY_QUERY(rest),
              CONCHE_EVENT(copy, EVENTS "Copy"),
              CONCHE_EVENT(tell_facts, EVENTS "Facts"),
              CONCHE_EVENT(tell_answer, EVENTS "Ask"),
              CONCHE_EVENT(emit_on_event, EVENTS "Emit"),
              CONCHE_EVENT(listen_on_event, EVENTS "Listen"),
              CONCHE_EVENT(fail_on_event, EVENTS "Fail"),
              CONCHE_ANY_EVENT(tell_rest),
              CONCHE_LISTENER(heard))
