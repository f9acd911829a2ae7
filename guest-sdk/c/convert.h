// Between the types of conche.h and those that the bindings are generated with. Nothing is copied:
// what comes in and what goes out lies in memory of the call, or in the plugin's own.
#ifndef CONCHE_CONVERT_H
#define CONCHE_CONVERT_H

#include "internal.h"
#include "wire.h"

conche_str conche_from_string(wire_string_t text);
conche_str conche_from_option(wire_option_string_t text);
wire_string_t conche_to_string(conche_str text);
wire_option_string_t conche_to_option(conche_str text);
wire_list_string_t conche_to_strings(const char *const *texts);
wire_option_u32_t conche_to_timeout(uint32_t ms);

conche_event conche_from_event(const conche_handler_types_event_t *event);
conche_payload conche_from_payload(const conche_handler_types_option_payload_t *data);
conche_handler_types_option_payload_t conche_to_payload(conche_payload data);
conche_handler_types_list_extension_t conche_to_extensions(const conche_extension *extensions, size_t count);
conche_handler_types_fault_t conche_to_fault(conche_fate fate);

#endif
