// What a plugin should not do, one handler each; and one that behaves, to see that it still can.

#include <conche.h>

#include <assert.h>
#include <stdlib.h>

static conche_error *throw(const conche_value *, conche_writer *) {
    return conche_failure("thrown on purpose");
}

static conche_error *throw_event(const conche_value *) {
    return conche_failure("thrown on purpose");
}

static conche_error *loop(const conche_value *, conche_writer *) {
    for (volatile bool forever = true; forever;)
        ;
    return NULL;
}

static conche_error *allocate(const conche_value *, conche_writer *) {
    for (;;)
        conche_alloc(1 << 20);
}

static conche_error *fine(const conche_value *, conche_writer *answer) {
    conche_put_bool(answer, "ok", true);
    return NULL;
}

// What only C does; its cases are in `tests` here.

static conche_error *assert_in_vain(const conche_value *ask, conche_writer *) {
    assert(conche_count(ask) == 1);
    return NULL;
}

static conche_error *call_abort(const conche_value *, conche_writer *) {
    abort();
}

static conche_error *call_exit(const conche_value *, conche_writer *) {
    exit(3);
}

static size_t depth(const conche_value *value, size_t so_far) {
    volatile char frame[512] = {0};
    return so_far == SIZE_MAX ? 0 : depth(value, so_far + 1) + (size_t)frame[so_far % sizeof frame];
}

static conche_error *recurse(const conche_value *ask, conche_writer *answer) {
    conche_put_u64(answer, "depth", depth(ask, 0));
    return NULL;
}

CONCHE_PLUGIN(CONCHE_QUERY(throw, "cyverse.hostile.Throw"),
              CONCHE_EVENT(throw_event, "org.cyverse.events.hostile.Throw"),
              CONCHE_QUERY(loop, "cyverse.hostile.Loop"),
              CONCHE_QUERY(allocate, "cyverse.hostile.Allocate"),
              CONCHE_QUERY(fine, "cyverse.hostile.Fine"),
              CONCHE_QUERY(assert_in_vain, "cyverse.hostile.Assert"),
              CONCHE_QUERY(call_abort, "cyverse.hostile.Abort"),
              CONCHE_QUERY(call_exit, "cyverse.hostile.Exit"),
              CONCHE_QUERY(recurse, "cyverse.hostile.Recurse"))
