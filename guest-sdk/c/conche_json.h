/* JSON for handlers that bring no library of their own: a reader and a writer. Part of conche.h. */
#ifndef CONCHE_JSON_H
#define CONCHE_JSON_H

typedef struct conche_error conche_error;

/* ---- reading ---- */

typedef enum conche_value_kind {
    CONCHE_VALUE_NULL,
    CONCHE_VALUE_BOOL,
    CONCHE_VALUE_NUMBER,
    CONCHE_VALUE_STRING,
    CONCHE_VALUE_ARRAY,
    CONCHE_VALUE_OBJECT,
} conche_value_kind;

/* A value, and its place among its siblings. */
typedef struct conche_value conche_value;
struct conche_value {
    conche_value_kind kind;
    conche_str key;  /* in an object */
    conche_str text; /* a string's characters, unescaped; a number's and a boolean's digits as written */
    const conche_value *first; /* of an array's or an object's values; they follow by `next` */
    const conche_value *next;
};

/* Reads one JSON value (RFC 8259), nested 128 deep at most. What is none is a fault 400 that says
 * where. */
conche_error *conche_parse(conche_str text, const conche_value **value);

/* What lies at a path such as "items[0].sku", or NULL; "" is the value itself. Of equal keys, the
 * last counts. */
const conche_value *conche_at(const conche_value *value, const char *path);
/* The member of an object by its key, whatever characters that has, or NULL. */
const conche_value *conche_member(const conche_value *object, const char *key);
/* How many values an array or an object has; 0 for all else, and for NULL. */
size_t conche_count(const conche_value *value);

/* What lies at a path. A fault 400 that names the path if nothing does, if it has another type, or if
 * the number does not fit: integers must be written as such. */
conche_error *conche_get_string(const conche_value *value, const char *path, conche_str *out);
conche_error *conche_get_bool(const conche_value *value, const char *path, bool *out);
conche_error *conche_get_i64(const conche_value *value, const char *path, int64_t *out);
conche_error *conche_get_u64(const conche_value *value, const char *path, uint64_t *out);
conche_error *conche_get_u32(const conche_value *value, const char *path, uint32_t *out);
conche_error *conche_get_double(const conche_value *value, const char *path, double *out);
conche_error *conche_get_array(const conche_value *value, const char *path, const conche_value **out);
conche_error *conche_get_object(const conche_value *value, const char *path, const conche_value **out);

/* The same, and `out` stays as it was if nothing lies there, or null. */
conche_error *conche_opt_string(const conche_value *value, const char *path, conche_str *out);
conche_error *conche_opt_bool(const conche_value *value, const char *path, bool *out);
conche_error *conche_opt_i64(const conche_value *value, const char *path, int64_t *out);
conche_error *conche_opt_u64(const conche_value *value, const char *path, uint64_t *out);
conche_error *conche_opt_u32(const conche_value *value, const char *path, uint32_t *out);
conche_error *conche_opt_double(const conche_value *value, const char *path, double *out);
conche_error *conche_opt_array(const conche_value *value, const char *path, const conche_value **out);
conche_error *conche_opt_object(const conche_value *value, const char *path, const conche_value **out);

/* ---- writing ---- */

/* Writes one JSON value. Every `put` takes the key, in an object, or NULL, in an array and for a value
 * that stands alone. A key at the beginning opens an object. Commas, escapes and what is still open at
 * the end are the writer's business; a `put` that cannot be (a key in an array, a number that is not
 * finite) makes the handler fail with a message that says so. */
typedef struct conche_writer conche_writer;

conche_writer *conche_write(void);
void conche_put_string(conche_writer *writer, const char *key, conche_str value); /* null for none */
void conche_put_bool(conche_writer *writer, const char *key, bool value);
void conche_put_i64(conche_writer *writer, const char *key, int64_t value);
void conche_put_u64(conche_writer *writer, const char *key, uint64_t value);
void conche_put_double(conche_writer *writer, const char *key, double value);
void conche_put_null(conche_writer *writer, const char *key);
/* JSON text as it is, such as a number of 23 digits. */
void conche_put_raw(conche_writer *writer, const char *key, conche_str json);
/* A value that was read, with the digits it had; null for NULL. */
void conche_put_value(conche_writer *writer, const char *key, const conche_value *value);
void conche_put_object(conche_writer *writer, const char *key);
void conche_put_array(conche_writer *writer, const char *key);
/* Ends the object or array begun last. */
void conche_end(conche_writer *writer);
/* Ends all that is open; the text. `null` if nothing was put. */
conche_str conche_written(conche_writer *writer);
/* What was put wrongly, or none. */
conche_str conche_writer_mistake(const conche_writer *writer);

#endif
