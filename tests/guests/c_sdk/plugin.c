// Calls what only the SDK for C has, for the cases in `tests` to say what must come of it.

#include <conche.h>

static conche_error *copy(const conche_value *ask, conche_writer *answer) {
    conche_put_value(answer, NULL, ask);
    return NULL;
}

static conche_error *copy_with_key(const conche_value *ask, conche_writer *answer) {
    conche_put_value(answer, "copied", ask);
    conche_put_value(answer, "none", NULL);
    return NULL;
}

static conche_error *deeper(const conche_value *ask, conche_writer *answer) {
    conche_put_array(answer, NULL);
    conche_put_value(answer, NULL, ask);
    return NULL;
}

static conche_error *at(const conche_value *ask, conche_writer *answer) {
    conche_str path;
    CONCHE_TRY(conche_get_string(ask, "path", &path));
    conche_put_value(answer, NULL, conche_at(conche_member(ask, "value"), path.ptr));
    return NULL;
}

static conche_error *optional(const conche_value *ask, conche_writer *answer) {
    const conche_value *items = NULL, *item = NULL;
    CONCHE_TRY(conche_opt_array(ask, "items", &items));
    CONCHE_TRY(conche_opt_object(ask, "item", &item));
    conche_put_value(answer, "items", items);
    conche_put_value(answer, "item", item);
    return NULL;
}

static conche_error *concat(const conche_value *ask, conche_writer *answer) {
    conche_str one, none = {0};
    CONCHE_TRY(conche_get_string(ask, "one", &one));
    conche_put_string(answer, NULL, conche_concat(none, CONCHE_STR("<"), one, CONCHE_STR(""), one, CONCHE_STR(">")));
    return NULL;
}

static conche_error *misput(const conche_value *ask, conche_writer *answer) {
    conche_put_array(answer, NULL);
    conche_put_bool(answer, "key", conche_count(ask) > 0);
    return NULL;
}

static conche_error *fail(const conche_value *ask, conche_writer *) {
    conche_error *error = conche_failure("unforeseen");
    CONCHE_TRY(conche_get_string(ask, "message", &error->message));
    return error;
}

#define QUERIES "cyverse.c."

CONCHE_PLUGIN(CONCHE_REUSABLE,
              CONCHE_QUERY(copy, QUERIES "Copy"),
              CONCHE_QUERY(copy_with_key, QUERIES "CopyWithKey"),
              CONCHE_QUERY(deeper, QUERIES "Deeper"),
              CONCHE_QUERY(at, QUERIES "At"),
              CONCHE_QUERY(optional, QUERIES "Optional"),
              CONCHE_QUERY(concat, QUERIES "Concat"),
              CONCHE_QUERY(misput, QUERIES "Misput"),
              CONCHE_QUERY(fail, QUERIES "Fail"))
