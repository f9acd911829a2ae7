/*
 * Write plugins for the Conche host in C: functions that get JSON or a whole CloudEvent, and one
 * CONCHE_PLUGIN that says what they hear. Conche's guest SDK for C, version 0.1.0, Apache-2.0.
 *
 *     static conche_error *greet(const conche_value *ask, conche_writer *answer) {
 *         conche_str name;
 *         CONCHE_TRY(conche_get_string(ask, "name", &name));
 *         conche_put_string(answer, "greeting", conche_concat(CONCHE_STR("Hello, "), name, CONCHE_STR("!")));
 *         return NULL;
 *     }
 *
 *     CONCHE_PLUGIN(CONCHE_REUSABLE, CONCHE_QUERY(greet, "cyverse.greeter.Greet"))
 *
 * All that these functions hand out lies in memory of the call: it is gone when the next call
 * begins, and nobody frees it. What shall live longer must be copied with malloc, and only a plugin
 * that is CONCHE_REUSABLE has a next call.
 */
#ifndef CONCHE_H
#define CONCHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- strings and memory ---- */

/* Characters in UTF-8. Those that this SDK hands out are also followed by a NUL, so `.ptr` is a C
 * string; use both fields where the text may itself hold a NUL. `.ptr == NULL`: there is none. */
typedef struct conche_str {
    const char *ptr;
    size_t len;
} conche_str;

/* A literal as a string. */
#define CONCHE_STR(literal) ((conche_str){"" literal, sizeof(literal) - 1})

/* For "%.*s": as all of printf, it stops at a NUL in the text. */
#define CONCHE_ARG(str) (int)(str).len, (str).ptr

/* A C string as a string; none for NULL. Nothing is copied. */
conche_str conche_str_of(const char *text);
bool conche_str_equal(conche_str one, conche_str other);
bool conche_str_is(conche_str one, const char *other);
/* These strings, one after the other; a NUL in them is a character like any other. */
#define conche_concat(...)                                    \
    conche_concat_parts((const conche_str[]){__VA_ARGS__},    \
                        sizeof((const conche_str[]){__VA_ARGS__}) / sizeof(conche_str))
conche_str conche_concat_parts(const conche_str *parts, size_t count);
/* As printf: what another wrote belongs into conche_concat, since "%s" stops at a NUL. */
conche_str conche_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Memory of the call, aligned for anything and zeroed. Never NULL: without memory the call ends. */
void *conche_alloc(size_t size);

#include "conche_json.h"

/* ---- messages ---- */

typedef enum conche_payload_kind {
    CONCHE_NONE,
    CONCHE_JSON, /* the exact text of one JSON value: digits and key order untouched */
    CONCHE_TEXT, /* characters of any other media type */
    CONCHE_BINARY,
    CONCHE_NO_JSON, /* a writer was used wrongly, and the bytes say how: cannot be sent */
} conche_payload_kind;

typedef struct conche_payload {
    conche_payload_kind kind;
    conche_str bytes;
} conche_payload;

conche_payload conche_json(conche_str text);
conche_payload conche_json_of(conche_writer *writer); /* ends what is open */
conche_payload conche_text(conche_str text);
conche_payload conche_binary(const void *bytes, size_t size);

typedef enum conche_attribute_kind {
    CONCHE_BOOLEAN,
    CONCHE_INTEGER,
    CONCHE_STRING,
} conche_attribute_kind;

/* An extension attribute; a round trip changes neither value nor kind. */
typedef struct conche_extension {
    conche_str name;
    conche_attribute_kind kind;
    bool boolean;
    int32_t integer;
    conche_str string;
} conche_extension;

/* A CloudEvent as it was received: a query, an event, or the answer to a request. */
typedef struct conche_event {
    conche_str id;
    conche_str source; /* a URI reference: who made it */
    conche_str type;   /* the query's op or the event's type */
    conche_str time;   /* the RFC 3339 text as it came */
    conche_str subject;
    conche_str datacontenttype;
    conche_str dataschema;
    conche_str transaction_id; /* ties this message, its answers and its follow-up events together */
    const conche_extension *extensions;
    size_t extension_count;
    conche_payload data; /* none also when it travels by reference (`dataref`) */

    conche_str handler;  /* the name of the handler whose registration matched */
    conche_str listener; /* the id from conche_add_listener, if that is what matched */
    conche_str state;    /* what was given there */
} conche_event;

/* The value of one extension attribute, or NULL. */
const conche_extension *conche_find_extension(const conche_event *event, const char *name);
/* Reads the data as JSON; no data reads as null. What is no JSON is a fault 400. */
conche_error *conche_parse_data(const conche_event *event, const conche_value **value);

/* A message to send. The host adds id, source and time. */
typedef struct conche_draft {
    conche_str type; /* the event's type or the query's op */
    conche_str subject;
    conche_str datacontenttype;
    conche_str dataschema;
    conche_str transaction_id; /* none: that of the call in progress */
    const conche_extension *extensions;
    size_t extension_count;
    conche_payload data;
    /* Names this message within the call: a retry sends the same key under the same id. None: the id
     * comes from the message itself and from how many equal ones were sent before it. */
    conche_str key;
} conche_draft;

/* The answer to a query. */
typedef struct conche_reply {
    conche_str type; /* none: the query's type */
    conche_str subject;
    conche_str datacontenttype;
    conche_str dataschema;
    const conche_extension *extensions;
    size_t extension_count;
    conche_payload data;
    bool silence; /* no answer at all: the asker times out, as if nobody had heard */
} conche_reply;

/* ---- errors: what a handler returns, NULL if all is well ---- */

typedef enum conche_error_kind {
    CONCHE_FAULT,   /* an error as an answer; an event is rejected for a code below 500, else retried */
    CONCHE_REJECT,  /* the event goes to the dead letters */
    CONCHE_RETRY,   /* the event comes again */
    CONCHE_FAILURE, /* something went wrong: a fault 500, or the event comes again; logged */
    /* Why a message was not sent, or a request got no answer: */
    CONCHE_REFUSED, /* the policy does not grant it; the message is the line to add */
    CONCHE_OVER_BUDGET,
    CONCHE_INVALID,
    CONCHE_NO_RESPONDERS, /* nobody serves this op */
    CONCHE_TIMED_OUT,
    CONCHE_BUSY,   /* shed before it ran: safe to repeat */
    CONCHE_REMOTE, /* the other side answered with an error: code, message, details */
    CONCHE_OTHER,
} conche_error_kind;

struct conche_error {
    conche_error_kind kind;
    uint16_t code; /* of a fault, a reject, a remote error: as in HTTP */
    conche_str message;
    conche_payload details;
    bool has_after; /* of a retry */
    uint32_t after_ms;
};

/* 4xx do not repeat, 5xx may be repeated. */
conche_error *conche_fault(uint16_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
conche_error *conche_reject(uint16_t code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Later; the host's backoff decides when. */
conche_error *conche_retry(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Later, not before this many milliseconds have passed. */
conche_error *conche_retry_after(uint32_t ms, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What nobody foresaw. */
conche_error *conche_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Adds a value, for programs, to a fault or a reject. */
conche_error *conche_with_details(conche_error *error, conche_writer *details);
/* What went wrong, in words. */
conche_str conche_error_text(const conche_error *error);

/* Leaves the function with the error of the call in it, if there is one. */
#define CONCHE_TRY(call)                       \
    do {                                       \
        conche_error *conche_error_ = (call);  \
        if (conche_error_ != NULL)             \
            return conche_error_;              \
    } while (0)

#include "conche_host.h"
#include "conche_plugin.h"

#endif
