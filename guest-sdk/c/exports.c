// What the host calls: `register`, and one `handle` for each role that the plugin has. Finds the item
// of CONCHE_PLUGIN, calls its function, and tells the host what came of it.

#include "convert.h"

#include <string.h>

static wire_string_t text_of(const char *text) {
    return conche_to_string(conche_str_of(text));
}

static const conche_item *find(conche_str name, conche_hears first, conche_hears last) {
    for (const conche_item *item = conche_items; item->hears != CONCHE_HEARS_END; item++) {
        if (item->hears >= first && item->hears <= last && conche_str_is(name, item->name))
            return item;
    }
    return NULL;
}

static const conche_item *find_query(conche_str name) {
    return find(name, CONCHE_HEARS_QUERY, CONCHE_HEARS_ANY_QUERY);
}

static const conche_item *find_event(conche_str name) {
    return find(name, CONCHE_HEARS_EVENT, CONCHE_HEARS_LISTENER);
}

// The first handler that was named and is none: `register` refuses the plugin for it.
static conche_error *misnamed;

// The handler's name, for a registration of its role.
static wire_string_t named(const char *handler, const conche_item *found, const char *role) {
    if (found == NULL && misnamed == NULL)
        misnamed = conche_failure("no %s handler is called `%s`: it must stand in CONCHE_PLUGIN", role, handler);
    return text_of(handler);
}

static wire_string_t named_query(const char *handler) {
    return named(handler, find_query(conche_str_of(handler)), "query");
}

static wire_string_t named_event(const char *handler) {
    return named(handler, find_event(conche_str_of(handler)), "event");
}

void conche_on_query(const char *handler, const char *op) {
    wire_string_t name = named_query(handler), text = text_of(op);
    conche_handler_registration_on_query(&name, &text);
}

void conche_on_any_query(const char *handler) {
    wire_string_t name = named_query(handler);
    conche_handler_registration_on_any_query(&name);
}

void conche_on_event(const char *handler, const char *const *types) {
    wire_string_t name = named_event(handler);
    wire_list_string_t list = conche_to_strings(types);
    conche_handler_registration_on_event(&name, &list);
}

void conche_on_any_event(const char *handler) {
    wire_string_t name = named_event(handler);
    conche_handler_registration_on_any_event(&name);
}

void conche_on_listener(const char *handler) {
    wire_string_t name = named_event(handler);
    conche_handler_registration_on_listener(&name);
}

void conche_reusable(void) {
    conche_handler_registration_reusable();
}

static void register_item(const conche_item *item) {
    switch (item->hears) {
    case CONCHE_HEARS_REUSABLE:
        conche_reusable();
        break;
    case CONCHE_HEARS_QUERY:
        for (const char *const *op = item->keys; *op != NULL; op++)
            conche_on_query(item->name, *op);
        break;
    case CONCHE_HEARS_ANY_QUERY:
        conche_on_any_query(item->name);
        break;
    case CONCHE_HEARS_EVENT:
        if (item->keys[0] != NULL) // without types: registered by the plugin's own function
            conche_on_event(item->name, item->keys);
        break;
    case CONCHE_HEARS_ANY_EVENT:
        conche_on_any_event(item->name);
        break;
    case CONCHE_HEARS_LISTENER:
        conche_on_listener(item->name);
        break;
    case CONCHE_HEARS_REGISTER:
    case CONCHE_HEARS_END:
        break;
    }
}

// Only the first item of a name would ever be called, if it is another function's.
static conche_error *same_name(const conche_item *item) {
    bool is_query = item->hears == CONCHE_HEARS_QUERY || item->hears == CONCHE_HEARS_ANY_QUERY;
    if (item->name == NULL)
        return NULL;
    conche_str name = conche_str_of(item->name);
    const conche_item *first = is_query ? find_query(name) : find_event(name);
    if (first->data_query == item->data_query)
        return NULL;
    return conche_failure("two %s handlers are called `%s`: give one another name, with CONCHE_%s_AS",
                          is_query ? "query" : "event", item->name, is_query ? "QUERY" : "EVENT");
}

static conche_error *register_all(void) {
    for (const conche_item *item = conche_items; item->hears != CONCHE_HEARS_END; item++) {
        CONCHE_TRY(same_name(item));
        register_item(item);
    }
    for (const conche_item *item = conche_items; item->hears != CONCHE_HEARS_END; item++) {
        if (item->hears == CONCHE_HEARS_REGISTER)
            CONCHE_TRY(item->hook());
    }
    return misnamed;
}

void exports_conche_handler_lifecycle_register(exports_conche_handler_lifecycle_result_void_string_t *ret) {
    conche_error *error = register_all();
    ret->is_err = error != NULL;
    if (error != NULL)
        ret->val.err = conche_to_string(error->message);
    conche_call_ended();
}

static conche_event from_wire(const conche_handler_types_matched_t *matched, const conche_handler_types_event_t *from) {
    conche_event event = conche_from_event(from);
    event.handler = conche_from_string(matched->handler);
    event.listener = conche_from_option(matched->listener);
    event.state = conche_from_option(matched->state);
    return event;
}

static conche_error *unknown(const conche_event *event) {
    return conche_fault(500, "the plugin has no handler `%s`", event->handler.ptr);
}

#if CONCHE_QUERIES

static conche_error *answer(const conche_event *query, conche_reply *reply) {
    const conche_item *item = find_query(query->handler);
    if (item == NULL)
        return unknown(query);
    if (item->whole) {
        CONCHE_TRY(item->whole_query(query, reply));
    } else {
        const conche_value *ask;
        CONCHE_TRY(conche_parse_data(query, &ask));
        conche_writer *writer = conche_write();
        CONCHE_TRY(item->data_query(ask, writer));
        reply->data = conche_json_of(writer);
    }
    if (reply->data.kind == CONCHE_NO_JSON)
        return conche_fault(500, "the answer is no JSON: %s", reply->data.bytes.ptr);
    return NULL;
}

void exports_conche_handler_query_handler_handle(
    exports_conche_handler_query_handler_matched_t *matched, exports_conche_handler_query_handler_event_t *query,
    exports_conche_handler_query_handler_result_option_reply_fault_t *ret) {
    conche_event event = from_wire(matched, query);
    conche_reply reply = {0};
    conche_error *error = answer(&event, &reply);
    ret->is_err = error != NULL;
    if (error != NULL) {
        ret->val.err = conche_to_fault(conche_query_fate(error));
    } else {
        ret->val.ok.is_some = !reply.silence;
        ret->val.ok.val = (conche_handler_types_reply_t){
            .type = conche_to_option(reply.type),
            .subject = conche_to_option(reply.subject),
            .datacontenttype = conche_to_option(reply.datacontenttype),
            .dataschema = conche_to_option(reply.dataschema),
            .extensions = conche_to_extensions(reply.extensions, reply.extension_count),
            .data = conche_to_payload(reply.data),
        };
    }
    conche_call_ended();
}

#endif

#if CONCHE_EVENTS

// Data that cannot be read is rejected: it would be the same next time. A fault 400 says so.
static conche_error *hear(const conche_event *event) {
    const conche_item *item = find_event(event->handler);
    if (item == NULL)
        return unknown(event);
    if (item->whole)
        return item->whole_event(event);
    const conche_value *data;
    CONCHE_TRY(conche_parse_data(event, &data));
    return item->data_event(data);
}

void exports_conche_handler_event_handler_handle(
    exports_conche_handler_event_handler_matched_t *matched, exports_conche_handler_event_handler_event_t *from,
    exports_conche_handler_event_handler_result_void_event_error_t *ret) {
    conche_event event = from_wire(matched, from);
    conche_error *error = hear(&event);
    ret->is_err = error != NULL;
    if (error != NULL) {
        conche_fate fate = conche_event_fate(error);
        conche_handler_types_event_error_t *err = &ret->val.err;
        err->tag = fate.retry ? CONCHE_HANDLER_TYPES_EVENT_ERROR_RETRY : CONCHE_HANDLER_TYPES_EVENT_ERROR_REJECT;
        if (fate.retry) {
            err->val.retry.message = conche_to_string(fate.message);
            err->val.retry.after_ms = (wire_option_u32_t){fate.has_after, fate.after_ms};
        } else {
            err->val.reject = conche_to_fault(fate);
        }
    }
    conche_call_ended();
}

#endif
