// What a handler can do, by the host's functions.

#include "convert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The one way from the bindings' send errors to ours; every import has its own name for the type.
static conche_error *from_send_error(const conche_handler_types_send_error_t *error) {
    static const conche_error_kind kinds[] = {
        [CONCHE_HANDLER_TYPES_SEND_ERROR_REFUSED] = CONCHE_REFUSED,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_OVER_BUDGET] = CONCHE_OVER_BUDGET,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_INVALID] = CONCHE_INVALID,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_NO_RESPONDERS] = CONCHE_NO_RESPONDERS,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_TIMED_OUT] = CONCHE_TIMED_OUT,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_BUSY] = CONCHE_BUSY,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_REMOTE] = CONCHE_REMOTE,
        [CONCHE_HANDLER_TYPES_SEND_ERROR_OTHER] = CONCHE_OTHER,
    };
    conche_error *made = conche_alloc(sizeof *made);
    made->kind = kinds[error->tag];
    switch (made->kind) {
    case CONCHE_REMOTE:
        made->code = error->val.remote.code;
        made->message = conche_from_string(error->val.remote.message);
        made->details = conche_from_payload(&error->val.remote.details);
        break;
    case CONCHE_NO_RESPONDERS:
    case CONCHE_TIMED_OUT:
    case CONCHE_BUSY:
        made->message = conche_error_text(made);
        break;
    default:
        made->message = conche_from_string(error->val.other); // all of them hold one string
    }
    return made;
}

static conche_error *to_draft(const conche_draft *draft, conche_handler_types_draft_t *to) {
    if (draft->data.kind == CONCHE_NO_JSON) {
        conche_error *error = conche_alloc(sizeof *error);
        *error = (conche_error){.kind = CONCHE_INVALID, .message = draft->data.bytes};
        return error;
    }
    *to = (conche_handler_types_draft_t){
        .type = conche_to_string(draft->type),
        .subject = conche_to_option(draft->subject),
        .datacontenttype = conche_to_option(draft->datacontenttype),
        .dataschema = conche_to_option(draft->dataschema),
        .transaction_id = conche_to_option(draft->transaction_id),
        .extensions = conche_to_extensions(draft->extensions, draft->extension_count),
        .data = conche_to_payload(draft->data),
        .key = conche_to_option(draft->key),
    };
    return NULL;
}

conche_error *conche_emit(const conche_draft *event, conche_str *id) {
    conche_handler_types_draft_t draft;
    CONCHE_TRY(to_draft(event, &draft));
    conche_handler_emit_result_string_send_error_t result;
    conche_handler_emit_emit(&draft, &result);
    if (result.is_err)
        return from_send_error(&result.val.err);
    if (id != NULL)
        *id = conche_from_string(result.val.ok);
    return NULL;
}

conche_error *conche_request(const conche_draft *query, uint32_t timeout_ms, conche_event *answer) {
    conche_handler_types_draft_t draft;
    CONCHE_TRY(to_draft(query, &draft));
    wire_option_u32_t timeout = conche_to_timeout(timeout_ms);
    conche_handler_request_result_event_send_error_t result;
    conche_handler_request_request(&draft, &timeout, &result);
    if (result.is_err)
        return from_send_error(&result.val.err);
    *answer = conche_from_event(&result.val.ok);
    return NULL;
}

void conche_request_all(const conche_draft *queries, size_t count, uint32_t timeout_ms, conche_answer *answers) {
    conche_handler_types_draft_t *drafts = conche_alloc(count * sizeof *drafts);
    size_t *places = conche_alloc(count * sizeof *places);
    size_t asked = 0; // without those that cannot be sent
    for (size_t index = 0; index < count; index++) {
        answers[index].error = to_draft(&queries[index], &drafts[asked]);
        if (answers[index].error == NULL)
            places[asked++] = index;
    }
    wire_option_u32_t timeout = conche_to_timeout(timeout_ms);
    conche_handler_request_list_draft_t list = {drafts, asked};
    conche_handler_request_list_result_event_send_error_t results;
    conche_handler_request_request_all(&list, &timeout, &results);
    for (size_t index = 0; index < results.len; index++) {
        conche_answer *answer = &answers[places[index]];
        if (results.ptr[index].is_err)
            answer->error = from_send_error(&results.ptr[index].val.err);
        else
            answer->event = conche_from_event(&results.ptr[index].val.ok);
    }
}

conche_error *conche_exchange(const conche_draft *event, const char *const *answer_types, uint32_t timeout_ms,
                              conche_event *answer) {
    conche_handler_types_draft_t draft;
    CONCHE_TRY(to_draft(event, &draft));
    wire_list_string_t types = conche_to_strings(answer_types);
    wire_option_u32_t timeout = conche_to_timeout(timeout_ms);
    conche_handler_exchange_result_event_send_error_t result;
    conche_handler_exchange_exchange(&draft, &types, &timeout, &result);
    if (result.is_err)
        return from_send_error(&result.val.err);
    *answer = conche_from_event(&result.val.ok);
    return NULL;
}

conche_error *conche_add_listener(const conche_listener *listener, conche_str *id) {
    conche_handler_listeners_listener_t to = {
        .handler = conche_to_string(conche_str_of(listener->handler)),
        .types = conche_to_strings(listener->types),
        .transaction_id = conche_to_option(listener->transaction_id),
        .once = listener->once,
        .state = conche_to_string(listener->state),
        .expires_ms = conche_to_timeout(listener->expires_ms),
    };
    conche_handler_listeners_result_string_send_error_t result;
    conche_handler_listeners_add(&to, &result);
    if (result.is_err)
        return from_send_error(&result.val.err);
    if (id != NULL)
        *id = conche_from_string(result.val.ok);
    return NULL;
}

conche_error *conche_remove_listener(conche_str id) {
    wire_string_t text = conche_to_string(id);
    conche_handler_listeners_result_void_send_error_t result;
    conche_handler_listeners_remove(&text, &result);
    return result.is_err ? from_send_error(&result.val.err) : NULL;
}

conche_str conche_config(const char *key) {
    wire_string_t text = conche_to_string(conche_str_of(key));
    wire_option_string_t value;
    conche_handler_config_get(&text, &value);
    return conche_from_option(value);
}

conche_error *conche_config_u32(const char *key, uint32_t *out) {
    conche_str value = conche_config(key);
    if (value.ptr == NULL)
        return NULL;
    const char *digits = value.ptr + (value.ptr[0] == '+' && value.len > 1);
    const char *problem = NULL;
    errno = 0;
    unsigned long long number = strtoull(digits, NULL, 10);
    if (value.len == 0)
        problem = "cannot parse integer from empty string";
    else if (strspn(digits, "0123456789") != (size_t)(value.ptr + value.len - digits))
        problem = "invalid digit found in string";
    else if (errno != 0 || number > UINT32_MAX)
        problem = "number too large to fit in target type";
    if (problem == NULL) {
        *out = (uint32_t)number;
        return NULL;
    }
    conche_error *error = conche_alloc(sizeof *error);
    *error = (conche_error){.kind = CONCHE_OTHER, .message = conche_format("`%s` in [config]: %s", key, problem)};
    return error;
}

size_t conche_config_keys(const conche_str **keys) {
    wire_list_string_t list;
    conche_handler_config_keys(&list);
    conche_str *made = conche_alloc(list.len * sizeof *made);
    for (size_t index = 0; index < list.len; index++)
        made[index] = conche_from_string(list.ptr[index]);
    *keys = made;
    return list.len;
}

void conche_log_fields(conche_level level, const char *message, const conche_field *fields) {
    size_t count = 0;
    while (fields[count].key != NULL)
        count++;
    conche_handler_log_field_t *list = conche_alloc(count * sizeof *list);
    for (size_t index = 0; index < count; index++) {
        list[index].key = conche_to_string(conche_str_of(fields[index].key));
        list[index].value = conche_to_string(fields[index].value);
    }
    wire_string_t text = conche_to_string(conche_str_of(message));
    conche_handler_log_log((conche_handler_log_level_t)level, &text, &(conche_handler_log_list_field_t){list, count});
}

uint32_t conche_attempt(void) {
    return conche_handler_call_attempt();
}

conche_str conche_idempotency_key(void) {
    wire_string_t key;
    conche_handler_call_idempotency_key(&key);
    return conche_from_string(key);
}

uint32_t conche_remaining_ms(void) {
    return conche_handler_call_remaining_ms();
}

uint32_t conche_hops(void) {
    return conche_handler_call_hops();
}

void conche_die(const char *why) {
    wire_string_t text = {(uint8_t *)why, strlen(why)};
    conche_handler_log_log(CONCHE_HANDLER_LOG_LEVEL_CRITICAL, &text, &(conche_handler_log_list_field_t){NULL, 0});
    abort();
}
