// Memory of the call: what the host hands in, what the SDK and the handler make of it, and what is
// handed back. It is given back at once, when the next call begins: until then the host reads it.

#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE 16384
#define ALIGNMENT _Alignof(max_align_t)

// Chunks in use, the newest first. The last one is kept from call to call.
typedef struct chunk {
    struct chunk *older;
    size_t size;
    size_t used;
    _Alignas(max_align_t) char bytes[];
} chunk;

static chunk *newest;
static bool ended;

static void *allocate(size_t size) {
    if (size > SIZE_MAX - sizeof(chunk) - ALIGNMENT)
        conche_die("out of memory");
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (newest == NULL || newest->size - newest->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk *made = malloc(sizeof(chunk) + room);
        if (made == NULL)
            conche_die("out of memory");
        *made = (chunk){.older = newest, .size = room};
        newest = made;
    }
    void *start = newest->bytes + newest->used;
    newest->used += size;
    return start;
}

void *conche_alloc(size_t size) {
    return memset(allocate(size), 0, size);
}

char *conche_room(size_t len) {
    char *room = allocate(len + 1);
    room[len] = '\0';
    return room;
}

void conche_call_ended(void) {
    ended = true;
}

static void begin_call(void) {
    ended = false;
    while (newest != NULL && newest->older != NULL) {
        chunk *older = newest->older;
        free(newest);
        newest = older;
    }
    if (newest != NULL)
        newest->used = 0;
}

// The host calls this to hand something in. The NUL after it makes a string of it.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align,
                                                               size_t new_size) {
    if (ended)
        begin_call();
    if (new_size == 0)
        return (void *)align;
    char *room = conche_room(new_size);
    if (old_size > 0)
        memcpy(room, old, old_size < new_size ? old_size : new_size);
    return room;
}

conche_str conche_concat_parts(const conche_str *parts, size_t count) {
    size_t len = 0;
    for (size_t index = 0; index < count; index++)
        len += parts[index].len;
    char *room = conche_room(len), *to = room;
    for (size_t index = 0; index < count; index++) {
        if (parts[index].len > 0)
            memcpy(to, parts[index].ptr, parts[index].len);
        to += parts[index].len;
    }
    return (conche_str){room, len};
}

conche_str conche_vformat(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    if (len < 0)
        conche_die("a format that printf refuses");
    char *room = conche_room((size_t)len);
    vsnprintf(room, (size_t)len + 1, format, again);
    va_end(again);
    return (conche_str){room, (size_t)len};
}

conche_str conche_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    conche_str text = conche_vformat(format, arguments);
    va_end(arguments);
    return text;
}

conche_str conche_str_of(const char *text) {
    return (conche_str){text, text == NULL ? 0 : strlen(text)};
}

bool conche_str_equal(conche_str one, conche_str other) {
    return one.len == other.len && (one.len == 0 || memcmp(one.ptr, other.ptr, one.len) == 0);
}

bool conche_str_is(conche_str one, const char *other) {
    return conche_str_equal(one, conche_str_of(other));
}
