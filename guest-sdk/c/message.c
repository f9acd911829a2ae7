// Messages: payloads, and reading what came in.

#include "internal.h"

conche_payload conche_json(conche_str text) {
    return (conche_payload){CONCHE_JSON, text};
}

conche_payload conche_json_of(conche_writer *writer) {
    conche_str mistake = conche_writer_mistake(writer);
    if (mistake.ptr != NULL)
        return (conche_payload){CONCHE_NO_JSON, mistake};
    return conche_json(conche_written(writer));
}

conche_payload conche_text(conche_str text) {
    return (conche_payload){CONCHE_TEXT, text};
}

conche_payload conche_binary(const void *bytes, size_t size) {
    return (conche_payload){CONCHE_BINARY, {size == 0 ? "" : bytes, size}};
}

const conche_extension *conche_find_extension(const conche_event *event, const char *name) {
    for (size_t index = 0; index < event->extension_count; index++) {
        if (conche_str_is(event->extensions[index].name, name))
            return &event->extensions[index];
    }
    return NULL;
}

conche_error *conche_parse_data(const conche_event *event, const conche_value **value) {
    switch (event->data.kind) {
    case CONCHE_JSON:
        return conche_parse(event->data.bytes, value);
    case CONCHE_TEXT:
        return conche_fault(400, "the data is text, not JSON");
    case CONCHE_BINARY:
        return conche_fault(400, "the data is binary, not JSON");
    default:
        return conche_parse(CONCHE_STR("null"), value);
    }
}
