// Keeps a trail: hears every `org.cyverse.events.GreetingRequested` and
// `org.cyverse.events.OrderCreated`, emits one `org.cyverse.events.AuditRecorded` for each.

#include <conche.h>

// Takes the whole event, since the attributes matter here and the data does not.
static conche_error *record(const conche_event *cause) {
    conche_writer *attributes = conche_write();
    conche_put_string(attributes, "id", cause->id);
    conche_put_string(attributes, "type", cause->type);
    conche_put_string(attributes, "source", cause->source);
    conche_put_string(attributes, "subject", cause->subject);
    conche_put_string(attributes, "time", cause->time);
    // One record an event: with the key, a retry sends the same one again and it is stored once.
    conche_draft draft = {
        .type = CONCHE_STR("org.cyverse.events.AuditRecorded"),
        .key = CONCHE_STR("record"),
        .data = conche_json_of(attributes),
    };
    conche_str id;
    CONCHE_TRY(conche_emit(&draft, &id));
    conche_log(CONCHE_INFO, "recorded", {"record", id});
    return NULL;
}

CONCHE_PLUGIN(CONCHE_REUSABLE,
              CONCHE_EVENT(record, "org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated"))
