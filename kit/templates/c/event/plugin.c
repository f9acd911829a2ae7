// Hears `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.

#include <conche.h>

static conche_error *say(const conche_value *ask) {
    conche_str name;
    CONCHE_TRY(conche_get_string(ask, "name", &name));
    conche_writer *greeting = conche_write();
    conche_put_string(greeting, "greeting", conche_concat(CONCHE_STR("Hello, "), name, CONCHE_STR("!")));
    conche_draft draft = {
        .type = CONCHE_STR("org.cyverse.events.Greeted"),
        .data = conche_json_of(greeting),
    };
    return conche_emit(&draft, NULL);
}

CONCHE_PLUGIN(CONCHE_REUSABLE, CONCHE_EVENT(say, "org.cyverse.events.GreetingRequested"))
