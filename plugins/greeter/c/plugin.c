// Answers the query `cyverse.greeter.Greet`: `{"name": …}` in, `{"greeting": …}` out.

#include <conche.h>

static conche_error *greet(const conche_value *ask, conche_writer *answer) {
    conche_str name;
    CONCHE_TRY(conche_get_string(ask, "name", &name));
    conche_put_string(answer, "greeting", conche_concat(CONCHE_STR("Hello, "), name, CONCHE_STR("!")));
    return NULL;
}

CONCHE_PLUGIN(CONCHE_REUSABLE, CONCHE_QUERY(greet, "cyverse.greeter.Greet"))
