// Finding values by path, and reading them as C has them.

#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const conche_value *member(const conche_value *object, conche_str key) {
    if (object == NULL || object->kind != CONCHE_VALUE_OBJECT)
        return NULL;
    const conche_value *found = NULL;
    for (const conche_value *value = object->first; value != NULL; value = value->next) {
        if (conche_str_equal(value->key, key))
            found = value;
    }
    return found;
}

static const conche_value *element(const conche_value *array, size_t index) {
    if (array == NULL || array->kind != CONCHE_VALUE_ARRAY)
        return NULL;
    const conche_value *value = array->first;
    while (value != NULL && index-- > 0)
        value = value->next;
    return value;
}

const conche_value *conche_member(const conche_value *object, const char *key) {
    return member(object, conche_str_of(key));
}

size_t conche_count(const conche_value *value) {
    size_t count = 0;
    for (const conche_value *child = value == NULL ? NULL : value->first; child != NULL; child = child->next)
        count++;
    return count;
}

const conche_value *conche_at(const conche_value *value, const char *path) {
    while (value != NULL && *path != '\0') {
        if (*path == '[') {
            size_t digits = strspn(path + 1, "0123456789");
            if (digits == 0 || path[1 + digits] != ']')
                conche_die("a path has a `[` without a number and its `]`");
            value = element(value, strtoul(path + 1, NULL, 10));
            path += 1 + digits + 1;
        } else {
            path += *path == '.';
            size_t len = strcspn(path, ".[");
            value = member(value, (conche_str){path, len});
            path += len;
        }
    }
    return value;
}

static const char *kind_name(conche_value_kind kind) {
    static const char *const names[] = {"null", "a boolean", "a number", "a string", "an array", "an object"};
    return names[kind];
}

static conche_error *misfit(const char *path, const char *what) {
    if (*path == '\0')
        return conche_fault(400, "invalid data: it %s", what);
    return conche_fault(400, "invalid data: `%s` %s", path, what);
}

static conche_error *get(const conche_value *value, const char *path, conche_value_kind kind,
                         const conche_value **out) {
    const conche_value *found = conche_at(value, path);
    if (found == NULL)
        return misfit(path, "is missing");
    if (found->kind != kind)
        return misfit(path, conche_format("is %s, not %s", kind_name(found->kind), kind_name(kind)).ptr);
    *out = found;
    return NULL;
}

static bool absent(const conche_value *value, const char *path) {
    const conche_value *found = conche_at(value, path);
    return found == NULL || found->kind == CONCHE_VALUE_NULL;
}

conche_error *conche_get_string(const conche_value *value, const char *path, conche_str *out) {
    const conche_value *found;
    CONCHE_TRY(get(value, path, CONCHE_VALUE_STRING, &found));
    *out = found->text;
    return NULL;
}

conche_error *conche_get_bool(const conche_value *value, const char *path, bool *out) {
    const conche_value *found;
    CONCHE_TRY(get(value, path, CONCHE_VALUE_BOOL, &found));
    *out = found->text.ptr[0] == 't';
    return NULL;
}

// The sign and the digits of an integer. `1.0` and `1e3` are none: who sends them means something else.
static conche_error *get_integer(const conche_value *value, const char *path, bool *negative, uint64_t *out) {
    const conche_value *found;
    CONCHE_TRY(get(value, path, CONCHE_VALUE_NUMBER, &found));
    if (strpbrk(found->text.ptr, ".eE") != NULL)
        return misfit(path, conche_format("is %s, not an integer", found->text.ptr).ptr);
    *negative = found->text.ptr[0] == '-';
    errno = 0;
    *out = strtoull(found->text.ptr + *negative, NULL, 10);
    return errno == 0 ? NULL : misfit(path, conche_format("is %s, which is too large", found->text.ptr).ptr);
}

static conche_error *out_of_range(const conche_value *value, const char *path, const char *range) {
    return misfit(path, conche_format("is %s, not within %s", conche_at(value, path)->text.ptr, range).ptr);
}

conche_error *conche_get_i64(const conche_value *value, const char *path, int64_t *out) {
    bool negative;
    uint64_t digits;
    CONCHE_TRY(get_integer(value, path, &negative, &digits));
    if (digits > (uint64_t)INT64_MAX + negative)
        return out_of_range(value, path, "-9223372036854775808 and 9223372036854775807");
    *out = (int64_t)(negative ? 0 - digits : digits);
    return NULL;
}

conche_error *conche_get_u64(const conche_value *value, const char *path, uint64_t *out) {
    bool negative;
    uint64_t digits;
    CONCHE_TRY(get_integer(value, path, &negative, &digits));
    if (negative && digits > 0)
        return out_of_range(value, path, "0 and 18446744073709551615");
    *out = digits;
    return NULL;
}

conche_error *conche_get_u32(const conche_value *value, const char *path, uint32_t *out) {
    bool negative;
    uint64_t digits;
    CONCHE_TRY(get_integer(value, path, &negative, &digits));
    if ((negative && digits > 0) || digits > UINT32_MAX)
        return out_of_range(value, path, "0 and 4294967295");
    *out = (uint32_t)digits;
    return NULL;
}

conche_error *conche_get_double(const conche_value *value, const char *path, double *out) {
    const conche_value *found;
    CONCHE_TRY(get(value, path, CONCHE_VALUE_NUMBER, &found));
    double number = strtod(found->text.ptr, NULL);
    if (number - number != 0)
        return misfit(path, conche_format("is %s, which is too large", found->text.ptr).ptr);
    *out = number;
    return NULL;
}

conche_error *conche_get_array(const conche_value *value, const char *path, const conche_value **out) {
    return get(value, path, CONCHE_VALUE_ARRAY, out);
}

conche_error *conche_get_object(const conche_value *value, const char *path, const conche_value **out) {
    return get(value, path, CONCHE_VALUE_OBJECT, out);
}

conche_error *conche_opt_string(const conche_value *value, const char *path, conche_str *out) {
    return absent(value, path) ? NULL : conche_get_string(value, path, out);
}

conche_error *conche_opt_bool(const conche_value *value, const char *path, bool *out) {
    return absent(value, path) ? NULL : conche_get_bool(value, path, out);
}

conche_error *conche_opt_i64(const conche_value *value, const char *path, int64_t *out) {
    return absent(value, path) ? NULL : conche_get_i64(value, path, out);
}

conche_error *conche_opt_u64(const conche_value *value, const char *path, uint64_t *out) {
    return absent(value, path) ? NULL : conche_get_u64(value, path, out);
}

conche_error *conche_opt_u32(const conche_value *value, const char *path, uint32_t *out) {
    return absent(value, path) ? NULL : conche_get_u32(value, path, out);
}

conche_error *conche_opt_double(const conche_value *value, const char *path, double *out) {
    return absent(value, path) ? NULL : conche_get_double(value, path, out);
}

conche_error *conche_opt_array(const conche_value *value, const char *path, const conche_value **out) {
    return absent(value, path) ? NULL : conche_get_array(value, path, out);
}

conche_error *conche_opt_object(const conche_value *value, const char *path, const conche_value **out) {
    return absent(value, path) ? NULL : conche_get_object(value, path, out);
}
