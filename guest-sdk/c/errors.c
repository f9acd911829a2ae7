// Errors: making them, telling of them, and what the host is told when a handler returns one.

#include "internal.h"

#include <stdarg.h>

static conche_error *make(conche_error_kind kind, uint16_t code, const char *format, va_list arguments) {
    conche_error *error = conche_alloc(sizeof *error);
    *error = (conche_error){.kind = kind, .code = code, .message = conche_vformat(format, arguments)};
    return error;
}

conche_error *conche_fault(uint16_t code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_error *error = make(CONCHE_FAULT, code, format, arguments);
    va_end(arguments);
    return error;
}

conche_error *conche_reject(uint16_t code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_error *error = make(CONCHE_REJECT, code, format, arguments);
    va_end(arguments);
    return error;
}

conche_error *conche_retry(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_error *error = make(CONCHE_RETRY, 503, format, arguments);
    va_end(arguments);
    return error;
}

conche_error *conche_retry_after(uint32_t ms, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_error *error = make(CONCHE_RETRY, 503, format, arguments);
    va_end(arguments);
    error->has_after = true;
    error->after_ms = ms;
    return error;
}

conche_error *conche_failure(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_error *error = make(CONCHE_FAILURE, 500, format, arguments);
    va_end(arguments);
    return error;
}

conche_error *conche_with_details(conche_error *error, conche_writer *details) {
    conche_payload payload = conche_json_of(details);
    // What is no JSON is left out: a fault must not fail.
    if (payload.kind == CONCHE_JSON)
        error->details = payload;
    return error;
}

static conche_str after(const char *what, conche_str message) {
    return conche_concat(conche_str_of(what), message);
}

static conche_str with_code(const char *what, const conche_error *error) {
    return conche_concat(conche_str_of(what), error->message, conche_format(" (code %u)", error->code));
}

conche_str conche_error_text(const conche_error *error) {
    switch (error->kind) {
    case CONCHE_FAULT:
        return with_code("", error);
    case CONCHE_REJECT:
        return with_code("rejected: ", error);
    case CONCHE_RETRY:
        return after("to be retried: ", error->message);
    case CONCHE_FAILURE:
        return after("the handler failed: ", error->message);
    case CONCHE_OVER_BUDGET:
        return after("over budget: ", error->message);
    case CONCHE_INVALID:
        return after("invalid message: ", error->message);
    case CONCHE_NO_RESPONDERS:
        return CONCHE_STR("nobody answers");
    case CONCHE_TIMED_OUT:
        return CONCHE_STR("timed out");
    case CONCHE_BUSY:
        return CONCHE_STR("busy");
    case CONCHE_REMOTE:
        return with_code("the other side failed: ", error);
    case CONCHE_REFUSED:
    case CONCHE_OTHER:
        break;
    }
    return error->message;
}

static void log_failure(const conche_error *error) {
    if (error->kind == CONCHE_FAILURE)
        conche_log(CONCHE_ERROR, "the handler failed", {"error", error->message});
}

// The other side's own fault, 503 and 504 for what may work when repeated, 500 for what is this
// plugin's fault.
static conche_fate fault_of(const conche_error *error) {
    conche_fate fate = {.code = 500, .message = conche_error_text(error)};
    switch (error->kind) {
    case CONCHE_FAULT:
    case CONCHE_REJECT:
    case CONCHE_REMOTE:
        return (conche_fate){.code = error->code, .message = error->message, .details = error->details};
    case CONCHE_RETRY:
        return (conche_fate){.code = 503, .message = error->message};
    case CONCHE_NO_RESPONDERS:
    case CONCHE_BUSY:
        fate.code = 503;
        break;
    case CONCHE_TIMED_OUT:
        fate.code = 504;
        break;
    default:
        break;
    }
    return fate;
}

conche_fate conche_query_fate(const conche_error *error) {
    log_failure(error);
    return fault_of(error);
}

// Rejected if the same would happen again (not granted, invalid, a fault below 500), else retried.
conche_fate conche_event_fate(const conche_error *error) {
    log_failure(error);
    switch (error->kind) {
    case CONCHE_REJECT:
    case CONCHE_REFUSED:
    case CONCHE_INVALID:
        return fault_of(error);
    case CONCHE_FAULT:
    case CONCHE_REMOTE:
        if (error->code < 500)
            return fault_of(error);
        return (conche_fate){.retry = true, .message = with_code("", error)};
    case CONCHE_RETRY:
        return (conche_fate){
            .retry = true, .message = error->message, .has_after = error->has_after, .after_ms = error->after_ms};
    default:
        return (conche_fate){.retry = true, .message = conche_error_text(error)};
    }
}
