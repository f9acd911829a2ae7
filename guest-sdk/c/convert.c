// Between the types of conche.h and those that the bindings are generated with.

#include "convert.h"

#include <string.h>

conche_str conche_from_string(wire_string_t text) {
    return (conche_str){text.len == 0 ? "" : (const char *)text.ptr, text.len};
}

conche_str conche_from_option(wire_option_string_t text) {
    return text.is_some ? conche_from_string(text.val) : (conche_str){NULL, 0};
}

wire_string_t conche_to_string(conche_str text) {
    conche_str clean = text.ptr == NULL ? CONCHE_STR("") : conche_utf8(text);
    return (wire_string_t){(uint8_t *)clean.ptr, clean.len};
}

wire_option_string_t conche_to_option(conche_str text) {
    return (wire_option_string_t){text.ptr != NULL, conche_to_string(text)};
}

wire_list_string_t conche_to_strings(const char *const *texts) {
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL)
        count++;
    wire_string_t *list = conche_alloc(count * sizeof *list);
    for (size_t index = 0; index < count; index++)
        list[index] = conche_to_string(conche_str_of(texts[index]));
    return (wire_list_string_t){list, count};
}

wire_option_u32_t conche_to_timeout(uint32_t ms) {
    return (wire_option_u32_t){ms != CONCHE_DEFAULT_TIMEOUT, ms};
}

conche_payload conche_from_payload(const conche_handler_types_option_payload_t *data) {
    if (!data->is_some)
        return (conche_payload){0};
    switch (data->val.tag) {
    case CONCHE_HANDLER_TYPES_PAYLOAD_JSON:
        return conche_json(conche_from_string(data->val.val.json));
    case CONCHE_HANDLER_TYPES_PAYLOAD_TEXT:
        return conche_text(conche_from_string(data->val.val.text));
    default:
        return conche_binary(data->val.val.binary.ptr, data->val.val.binary.len);
    }
}

conche_handler_types_option_payload_t conche_to_payload(conche_payload data) {
    conche_handler_types_option_payload_t to = {.is_some = true};
    switch (data.kind) {
    case CONCHE_JSON:
        to.val.tag = CONCHE_HANDLER_TYPES_PAYLOAD_JSON;
        to.val.val.json = conche_to_string(data.bytes);
        return to;
    case CONCHE_TEXT:
        to.val.tag = CONCHE_HANDLER_TYPES_PAYLOAD_TEXT;
        to.val.val.text = conche_to_string(data.bytes);
        return to;
    case CONCHE_BINARY:
        to.val.tag = CONCHE_HANDLER_TYPES_PAYLOAD_BINARY;
        to.val.val.binary = (wire_list_u8_t){(uint8_t *)data.bytes.ptr, data.bytes.len};
        return to;
    default:
        return (conche_handler_types_option_payload_t){.is_some = false};
    }
}

static const conche_extension *from_extensions(conche_handler_types_list_extension_t list) {
    conche_extension *extensions = conche_alloc(list.len * sizeof *extensions);
    for (size_t index = 0; index < list.len; index++) {
        const conche_handler_types_extension_t *from = &list.ptr[index];
        conche_extension *to = &extensions[index];
        to->name = conche_from_string(from->name);
        switch (from->value.tag) {
        case CONCHE_HANDLER_TYPES_ATTRIBUTE_BOOLEAN:
            to->kind = CONCHE_BOOLEAN;
            to->boolean = from->value.val.boolean;
            break;
        case CONCHE_HANDLER_TYPES_ATTRIBUTE_INTEGER:
            to->kind = CONCHE_INTEGER;
            to->integer = from->value.val.integer;
            break;
        default:
            to->kind = CONCHE_STRING;
            to->string = conche_from_string(from->value.val.text);
        }
    }
    return extensions;
}

conche_handler_types_list_extension_t conche_to_extensions(const conche_extension *extensions, size_t count) {
    conche_handler_types_extension_t *list = conche_alloc(count * sizeof *list);
    for (size_t index = 0; index < count; index++) {
        const conche_extension *from = &extensions[index];
        conche_handler_types_extension_t *to = &list[index];
        to->name = conche_to_string(from->name);
        switch (from->kind) {
        case CONCHE_BOOLEAN:
            to->value.tag = CONCHE_HANDLER_TYPES_ATTRIBUTE_BOOLEAN;
            to->value.val.boolean = from->boolean;
            break;
        case CONCHE_INTEGER:
            to->value.tag = CONCHE_HANDLER_TYPES_ATTRIBUTE_INTEGER;
            to->value.val.integer = from->integer;
            break;
        case CONCHE_STRING:
            to->value.tag = CONCHE_HANDLER_TYPES_ATTRIBUTE_TEXT;
            to->value.val.text = conche_to_string(from->string);
            break;
        }
    }
    return (conche_handler_types_list_extension_t){list, count};
}

conche_event conche_from_event(const conche_handler_types_event_t *event) {
    return (conche_event){
        .id = conche_from_string(event->id),
        .source = conche_from_string(event->source),
        .type = conche_from_string(event->type),
        .time = conche_from_option(event->time),
        .subject = conche_from_option(event->subject),
        .datacontenttype = conche_from_option(event->datacontenttype),
        .dataschema = conche_from_option(event->dataschema),
        .transaction_id = conche_from_option(event->transaction_id),
        .extensions = from_extensions(event->extensions),
        .extension_count = event->extensions.len,
        .data = conche_from_payload(&event->data),
    };
}

conche_handler_types_fault_t conche_to_fault(conche_fate fate) {
    return (conche_handler_types_fault_t){
        .code = fate.code,
        .message = conche_to_string(fate.message),
        .details = conche_to_payload(fate.details),
    };
}
