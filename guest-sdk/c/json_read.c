// Reading JSON: text to values, by RFC 8259 and nothing beyond it.

#include "internal.h"

#include <string.h>

// Deeper than anybody nests on purpose, and far from the end of a stack of 64 KiB.
#define MAX_DEPTH 128

typedef struct reader {
    const char *start;
    const char *at;
    const char *end;
    const char *problem;
} reader;

static bool read_value(reader *from, conche_value *into, int depth);

static bool fail(reader *from, const char *problem) {
    if (from->problem == NULL)
        from->problem = problem;
    return false;
}

static void skip_space(reader *from) {
    while (from->at < from->end && (*from->at == ' ' || *from->at == '\n' || *from->at == '\r' || *from->at == '\t'))
        from->at++;
}

static bool take(reader *from, char wanted) {
    skip_space(from);
    if (from->at == from->end || *from->at != wanted)
        return false;
    from->at++;
    return true;
}

static bool read_hex(reader *from, uint32_t *unit) {
    *unit = 0;
    for (int digit = 0; digit < 4; digit++) {
        char c = from->at < from->end ? *from->at : '\0';
        uint32_t worth;
        if (c >= '0' && c <= '9')
            worth = (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            worth = (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return fail(from, "`\\u` wants four hexadecimal digits");
        *unit = *unit << 4 | worth;
        from->at++;
    }
    return true;
}

// A character beyond U+FFFF is written as two: a high surrogate and a low one.
static bool read_unicode_escape(reader *from, char **to) {
    uint32_t unit, low;
    if (!read_hex(from, &unit))
        return false;
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return fail(from, "half a surrogate pair");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (from->end - from->at < 2 || from->at[0] != '\\' || from->at[1] != 'u')
            return fail(from, "half a surrogate pair");
        from->at += 2;
        if (!read_hex(from, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(from, "half a surrogate pair");
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    *to += conche_utf8_put(*to, unit);
    return true;
}

static bool read_escape(reader *from, char **to) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    char c = from->at < from->end ? *from->at : '\0';
    const char *name = c == '\0' ? NULL : strchr(names, c);
    if (name == NULL && c != 'u')
        return fail(from, "no such escape");
    from->at++;
    if (c == 'u')
        return read_unicode_escape(from, to);
    *(*to)++ = meant[name - names];
    return true;
}

// No longer unescaped than escaped: the room is measured up to the closing quote.
static bool read_string(reader *from, conche_str *into) {
    const char *close = from->at;
    while (close < from->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= from->end)
        return fail(from, "a string does not end");
    char *room = conche_room((size_t)(close - from->at));
    char *to = room;
    while (from->at < close) {
        if (*from->at == '\\') {
            from->at++;
            if (!read_escape(from, &to))
                return false;
            continue;
        }
        size_t length = conche_utf8_length(from->at, close);
        if (length == 0)
            return fail(from, "this is not UTF-8");
        if ((unsigned char)*from->at < 0x20)
            return fail(from, "a control character in a string");
        memcpy(to, from->at, length);
        to += length;
        from->at += length;
    }
    *to = '\0';
    *into = (conche_str){room, (size_t)(to - room)};
    from->at++;
    return true;
}

static size_t skip_digits(reader *from) {
    const char *first = from->at;
    while (from->at < from->end && *from->at >= '0' && *from->at <= '9')
        from->at++;
    return (size_t)(from->at - first);
}

// The digits stay as they are: what they are worth depends on who asks.
static bool read_number(reader *from, conche_str *into) {
    const char *first = from->at;
    if (*from->at == '-')
        from->at++;
    const char *whole = from->at;
    size_t digits = skip_digits(from);
    if (digits == 0)
        return fail(from, "a value is expected");
    if (digits > 1 && *whole == '0')
        return fail(from, "a number begins with 0");
    if (from->at < from->end && *from->at == '.') {
        from->at++;
        if (skip_digits(from) == 0)
            return fail(from, "a digit is expected");
    }
    if (from->at < from->end && (*from->at | 0x20) == 'e') {
        from->at++;
        if (from->at < from->end && (*from->at == '+' || *from->at == '-'))
            from->at++;
        if (skip_digits(from) == 0)
            return fail(from, "a digit is expected");
    }
    size_t len = (size_t)(from->at - first);
    *into = (conche_str){memcpy(conche_room(len), first, len), len};
    return true;
}

static bool read_word(reader *from, conche_value *into) {
    static const struct {
        const char *text;
        conche_value_kind kind;
    } words[] = {{"null", CONCHE_VALUE_NULL}, {"true", CONCHE_VALUE_BOOL}, {"false", CONCHE_VALUE_BOOL}};
    for (size_t index = 0; index < 3; index++) {
        conche_str word = conche_str_of(words[index].text);
        if ((size_t)(from->end - from->at) >= word.len && memcmp(from->at, word.ptr, word.len) == 0) {
            into->kind = words[index].kind;
            into->text = word;
            from->at += word.len;
            return true;
        }
    }
    return fail(from, "a value is expected");
}

// What follows `[` or `{`.
static bool read_values(reader *from, conche_value *into, int depth) {
    char close = into->kind == CONCHE_VALUE_OBJECT ? '}' : ']';
    if (depth == MAX_DEPTH)
        return fail(from, "nested too deeply");
    if (take(from, close))
        return true;
    const conche_value **place = &into->first;
    do {
        conche_value *value = conche_alloc(sizeof *value);
        if (close == '}') {
            if (!take(from, '"'))
                return fail(from, "a key is expected");
            if (!read_string(from, &value->key))
                return false;
            if (!take(from, ':'))
                return fail(from, "`:` is expected");
        }
        if (!read_value(from, value, depth + 1))
            return false;
        *place = value;
        place = &value->next;
    } while (take(from, ','));
    return take(from, close) || fail(from, close == '}' ? "`,` or `}` is expected" : "`,` or `]` is expected");
}

static bool read_value(reader *from, conche_value *into, int depth) {
    skip_space(from);
    if (from->at == from->end)
        return fail(from, "a value is expected");
    char c = *from->at;
    if (c == '"') {
        from->at++;
        into->kind = CONCHE_VALUE_STRING;
        return read_string(from, &into->text);
    }
    if (c == '{' || c == '[') {
        from->at++;
        into->kind = c == '{' ? CONCHE_VALUE_OBJECT : CONCHE_VALUE_ARRAY;
        return read_values(from, into, depth);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        into->kind = CONCHE_VALUE_NUMBER;
        return read_number(from, &into->text);
    }
    return read_word(from, into);
}

conche_error *conche_parse(conche_str text, const conche_value **value) {
    reader from = {text.ptr, text.ptr, text.ptr + text.len, NULL};
    conche_value *read = conche_alloc(sizeof *read);
    if (read_value(&from, read, 0)) {
        skip_space(&from);
        if (from.at == from.end) {
            *value = read;
            return NULL;
        }
        from.problem = "more follows the value";
    }
    return conche_fault(400, "invalid data: %s at byte %zu", from.problem, (size_t)(from.at - from.start));
}
