// UTF-8: what the host takes as text, and nothing else.

#include "internal.h"

#include <string.h>

size_t conche_utf8_put(char *to, uint32_t character) {
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        to[0] = (char)(0xC0 | character >> 6);
        to[1] = (char)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        to[0] = (char)(0xE0 | character >> 12);
        to[1] = (char)(0x80 | (character >> 6 & 0x3F));
        to[2] = (char)(0x80 | (character & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | character >> 18);
    to[1] = (char)(0x80 | (character >> 12 & 0x3F));
    to[2] = (char)(0x80 | (character >> 6 & 0x3F));
    to[3] = (char)(0x80 | (character & 0x3F));
    return 4;
}

// The ranges are those of table 3-7 of the Unicode standard: no overlong forms, no surrogates,
// nothing above U+10FFFF.
size_t conche_utf8_length(const char *at, const char *end) {
    const unsigned char *bytes = (const unsigned char *)at;
    size_t left = (size_t)(end - at);
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xC2 && first <= 0xDF ? 2 : first >= 0xE0 && first <= 0xEF ? 3
                  : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
    if (length == 0 || left < length)
        return 0;
    unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (bytes[1] < least || bytes[1] > most)
        return 0;
    for (size_t index = 2; index < length; index++) {
        if ((bytes[index] & 0xC0) != 0x80)
            return 0;
    }
    return length;
}

conche_str conche_utf8(conche_str text) {
    const char *end = text.ptr + text.len;
    const char *at = text.ptr;
    size_t wrong = 0;
    while (at < end) {
        size_t length = conche_utf8_length(at, end);
        wrong += length == 0;
        at += length == 0 ? 1 : length;
    }
    if (wrong == 0)
        return text;
    conche_str mended = {conche_room(text.len + 2 * wrong), text.len + 2 * wrong};
    char *to = (char *)mended.ptr;
    for (at = text.ptr; at < end;) {
        size_t length = conche_utf8_length(at, end);
        if (length == 0) {
            to += conche_utf8_put(to, 0xFFFD);
            at += 1;
        } else {
            memcpy(to, at, length);
            to += length;
            at += length;
        }
    }
    return mended;
}
