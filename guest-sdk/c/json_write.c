// Writing JSON: the writer keeps track of what is open, so that what comes out is JSON whatever the
// handler put.

#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 128

struct conche_writer {
    char *text;
    size_t len;
    size_t room;
    char open[MAX_DEPTH]; // what closes each: `}` or `]`
    int depth;
    bool has_value; // in what was opened last, or at the root
    conche_str mistake;
};

conche_writer *conche_write(void) {
    return conche_alloc(sizeof(conche_writer));
}

static void append(conche_writer *writer, const char *text, size_t len) {
    if (writer->room - writer->len < len) {
        size_t room = 2 * writer->room + len + 64;
        char *moved = conche_room(room);
        if (writer->len > 0)
            memcpy(moved, writer->text, writer->len);
        writer->text = moved;
        writer->room = room;
    }
    memcpy(writer->text + writer->len, text, len);
    writer->len += len;
}

static void append_string(conche_writer *writer, conche_str value) {
    conche_str text = conche_utf8(value);
    append(writer, "\"", 1);
    size_t plain = 0; // where what was not appended yet begins
    for (size_t index = 0; index < text.len; index++) {
        unsigned char c = (unsigned char)text.ptr[index];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        append(writer, text.ptr + plain, index - plain);
        plain = index + 1;
        char escape[8];
        int len = c == '"' || c == '\\' ? snprintf(escape, sizeof escape, "\\%c", c)
                  : c == '\n'           ? snprintf(escape, sizeof escape, "\\n")
                                        : snprintf(escape, sizeof escape, "\\u%04x", c);
        append(writer, escape, (size_t)len);
    }
    append(writer, text.ptr + plain, text.len - plain);
    append(writer, "\"", 1);
}

static const conche_str no_key = {NULL, 0};

static bool mistaken(conche_writer *writer, const char *what, conche_str key) {
    if (writer->mistake.ptr == NULL && key.ptr == NULL)
        writer->mistake = conche_str_of(what);
    else if (writer->mistake.ptr == NULL)
        writer->mistake = conche_concat(conche_str_of(what), CONCHE_STR(": `"), key, CONCHE_STR("`"));
    return false;
}

static void open(conche_writer *writer, char with, char closed_by) {
    if (writer->depth == MAX_DEPTH) {
        mistaken(writer, "nested too deeply", no_key);
        return;
    }
    append(writer, &with, 1);
    writer->open[writer->depth++] = closed_by;
    writer->has_value = false;
}

// Comma and key; whether a value may follow.
static bool begin(conche_writer *writer, conche_str key) {
    if (writer->mistake.ptr != NULL)
        return false;
    if (writer->depth == 0 && !writer->has_value && key.ptr != NULL)
        open(writer, '{', '}');
    if (writer->depth == 0 && writer->has_value)
        return mistaken(writer, "a value was put after the only one", key);
    bool in_object = writer->depth > 0 && writer->open[writer->depth - 1] == '}';
    if (in_object && key.ptr == NULL)
        return mistaken(writer, "a value was put into an object without a key", no_key);
    if (!in_object && key.ptr != NULL)
        return mistaken(writer, "a key was put into an array", key);
    if (writer->has_value)
        append(writer, ",", 1);
    writer->has_value = true;
    if (key.ptr != NULL) {
        append_string(writer, key);
        append(writer, ":", 1);
    }
    return true;
}

static void put(conche_writer *writer, const char *key, conche_str json) {
    if (begin(writer, conche_str_of(key)))
        append(writer, json.ptr, json.len);
}

void conche_put_string(conche_writer *writer, const char *key, conche_str value) {
    if (value.ptr == NULL)
        conche_put_null(writer, key);
    else if (begin(writer, conche_str_of(key)))
        append_string(writer, value);
}

void conche_put_bool(conche_writer *writer, const char *key, bool value) {
    put(writer, key, conche_str_of(value ? "true" : "false"));
}

void conche_put_i64(conche_writer *writer, const char *key, int64_t value) {
    put(writer, key, conche_format("%lld", (long long)value));
}

void conche_put_u64(conche_writer *writer, const char *key, uint64_t value) {
    put(writer, key, conche_format("%llu", (unsigned long long)value));
}

// The fewest digits that read as the same number again.
void conche_put_double(conche_writer *writer, const char *key, double value) {
    if (value - value != 0) {
        mistaken(writer, "a number that is not finite has no JSON", conche_str_of(key));
        return;
    }
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    put(writer, key, conche_str_of(text));
}

void conche_put_null(conche_writer *writer, const char *key) {
    put(writer, key, CONCHE_STR("null"));
}

void conche_put_raw(conche_writer *writer, const char *key, conche_str json) {
    const conche_value *value;
    if (conche_parse(json, &value) != NULL)
        mistaken(writer, "what was put raw is no JSON", conche_str_of(key));
    else
        put(writer, key, json);
}

// A key that was read may hold a NUL.
static void copy(conche_writer *writer, conche_str key, const conche_value *value) {
    if (!begin(writer, key))
        return;
    switch (value->kind) {
    case CONCHE_VALUE_STRING:
        append_string(writer, value->text);
        return;
    case CONCHE_VALUE_ARRAY:
        open(writer, '[', ']');
        break;
    case CONCHE_VALUE_OBJECT:
        open(writer, '{', '}');
        break;
    default:
        append(writer, value->text.ptr, value->text.len);
        return;
    }
    for (const conche_value *child = value->first; child != NULL; child = child->next)
        copy(writer, child->key, child);
    conche_end(writer);
}

void conche_put_value(conche_writer *writer, const char *key, const conche_value *value) {
    if (value == NULL)
        conche_put_null(writer, key);
    else
        copy(writer, conche_str_of(key), value);
}

void conche_put_object(conche_writer *writer, const char *key) {
    if (begin(writer, conche_str_of(key)))
        open(writer, '{', '}');
}

void conche_put_array(conche_writer *writer, const char *key) {
    if (begin(writer, conche_str_of(key)))
        open(writer, '[', ']');
}

void conche_end(conche_writer *writer) {
    if (writer->mistake.ptr != NULL)
        return;
    if (writer->depth == 0) {
        mistaken(writer, "an end was put where nothing is open", no_key);
        return;
    }
    append(writer, &writer->open[--writer->depth], 1);
    writer->has_value = true;
}

conche_str conche_written(conche_writer *writer) {
    while (writer->depth > 0)
        append(writer, &writer->open[--writer->depth], 1), writer->has_value = true;
    if (writer->len == 0)
        conche_put_null(writer, NULL);
    append(writer, "", 1);
    writer->len--;
    return (conche_str){writer->text, writer->len};
}

conche_str conche_writer_mistake(const conche_writer *writer) {
    return writer->mistake;
}
