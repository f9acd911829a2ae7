// What the SDK's files know of each other, and plugins need not.
#ifndef CONCHE_INTERNAL_H
#define CONCHE_INTERNAL_H

#include "conche.h"

#include <stdarg.h>

// arena.c
char *conche_room(size_t len); // for that many characters, and a NUL that is there already
conche_str conche_vformat(const char *format, va_list arguments);
void conche_call_ended(void);

// host.c: ends the call. Its log line, since stderr would make every plugin import files and clocks.
_Noreturn void conche_die(const char *why);

// utf8.c
size_t conche_utf8_put(char *to, uint32_t character);
// How many bytes the well-formed character at `at` has; 0: it is none.
size_t conche_utf8_length(const char *at, const char *end);
// The text itself if it is UTF-8, as the host wants it; else a copy with U+FFFD where it is not.
conche_str conche_utf8(conche_str text);

// errors.c: what becomes of an error that a handler returns, as the bindings have it. Logs a failure.
typedef struct conche_fate {
    bool retry;
    uint16_t code;
    conche_str message;
    conche_payload details;
    bool has_after;
    uint32_t after_ms;
} conche_fate;
conche_fate conche_query_fate(const conche_error *error);
conche_fate conche_event_fate(const conche_error *error);

#endif
