// The generated bindings, with memory of the call in place of the heap: what they would free goes with
// the call (arena.c).

#include <stdlib.h>
#include <string.h>

#define free(pointer) ((void)(pointer))
#include "wire.c"
#undef free

// Where the bindings ask for a type section in an object file: it is added to the module instead.
void __component_type_object_force_link_wire(void) {}
