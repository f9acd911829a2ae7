/* CONCHE_PLUGIN: what a plugin hears and which functions handle it. Part of conche.h. */
#ifndef CONCHE_PLUGIN_H
#define CONCHE_PLUGIN_H

/* What a handler may look like: its data alone, read and written as JSON, or the whole message. Data
 * that is no JSON is a fault 400, and an event is rejected with it; the handler is not called. */
typedef conche_error *conche_data_query(const conche_value *ask, conche_writer *answer);
typedef conche_error *conche_whole_query(const conche_event *query, conche_reply *reply);
typedef conche_error *conche_data_event(const conche_value *data);
typedef conche_error *conche_whole_event(const conche_event *event);

/* Once in a plugin, with these, separated by commas:
 *
 *   CONCHE_REUSABLE            one instance may serve many calls, one after the other: what a handler leaves
 *                              in statics stays. Without it every call gets a fresh instance.
 *   CONCHE_QUERY(f, ops...)    f answers these query ops
 *   CONCHE_ANY_QUERY(f)        f answers every query of the host's namespace that nothing else takes
 *   CONCHE_EVENT(f, types...)  f hears these event types
 *   CONCHE_ANY_EVENT(f)        f hears every event that no other item of this plugin takes
 *   CONCHE_LISTENER(f)         f may be named by conche_add_listener
 *   CONCHE_REGISTER(f)         f, a `conche_error *f(void)`, runs when the plugin is loaded, after the items
 *                              above: to check the configuration, to register what depends on it. An error
 *                              refuses the plugin.
 *
 * A handler's name is its function's; CONCHE_QUERY_AS("name", f, ops...) and its like give it another. It stands in
 * logs, and in the ids of what the handler emits: keep it when the function is renamed. */
#define CONCHE_PLUGIN(...) const conche_item conche_items[] = {__VA_ARGS__, {.hears = CONCHE_HEARS_END}};

#define CONCHE_REUSABLE {.hears = CONCHE_HEARS_REUSABLE}
#define CONCHE_REGISTER(function) {.hears = CONCHE_HEARS_REGISTER, .hook = (function)}

#define CONCHE_QUERY(function, ...) CONCHE_QUERY_AS(#function, function __VA_OPT__(, ) __VA_ARGS__)
#define CONCHE_ANY_QUERY(function) CONCHE_ANY_QUERY_AS(#function, function)
#define CONCHE_EVENT(function, ...) CONCHE_EVENT_AS(#function, function __VA_OPT__(, ) __VA_ARGS__)
#define CONCHE_ANY_EVENT(function) CONCHE_ANY_EVENT_AS(#function, function)
#define CONCHE_LISTENER(function) CONCHE_LISTENER_AS(#function, function)

/* A build knows the `kind` in conche-plugin.toml, and refuses what does not go with it; an editor does not. */
#if defined(CONCHE_QUERIES) && !CONCHE_QUERIES
#define CONCHE_QUERY_AS(text, function, ...) CONCHE_QUERY_needs_kind_query_or_both_in_conche_plugin_toml
#define CONCHE_ANY_QUERY_AS(text, function) CONCHE_ANY_QUERY_needs_kind_query_or_both_in_conche_plugin_toml
#else
#define CONCHE_QUERY_AS(text, function, ...) CONCHE_QUERY_ITEM(CONCHE_HEARS_QUERY, text, function, __VA_ARGS__)
#define CONCHE_ANY_QUERY_AS(text, function) CONCHE_QUERY_ITEM(CONCHE_HEARS_ANY_QUERY, text, function)
#endif

#if defined(CONCHE_EVENTS) && !CONCHE_EVENTS
#define CONCHE_EVENT_AS(text, function, ...) CONCHE_EVENT_needs_kind_event_or_both_in_conche_plugin_toml
#define CONCHE_ANY_EVENT_AS(text, function) CONCHE_ANY_EVENT_needs_kind_event_or_both_in_conche_plugin_toml
#define CONCHE_LISTENER_AS(text, function) CONCHE_LISTENER_needs_kind_event_or_both_in_conche_plugin_toml
#else
#define CONCHE_EVENT_AS(text, function, ...) CONCHE_EVENT_ITEM(CONCHE_HEARS_EVENT, text, function, __VA_ARGS__)
#define CONCHE_ANY_EVENT_AS(text, function) CONCHE_EVENT_ITEM(CONCHE_HEARS_ANY_EVENT, text, function)
#define CONCHE_LISTENER_AS(text, function) CONCHE_EVENT_ITEM(CONCHE_HEARS_LISTENER, text, function)
#endif

/* ---- registrations that CONCHE_PLUGIN cannot know: only inside CONCHE_REGISTER's function ---- */

/* The handler must stand in CONCHE_PLUGIN, if need be without ops: CONCHE_QUERY(answer). */
void conche_on_query(const char *handler, const char *op);
void conche_on_any_query(const char *handler);
void conche_on_event(const char *handler, const char *const *types); /* NULL after the last */
void conche_on_any_event(const char *handler);
void conche_on_listener(const char *handler);
void conche_reusable(void);

/* ---- what the macros above are made of ---- */

typedef enum conche_hears {
    CONCHE_HEARS_END,
    CONCHE_HEARS_REUSABLE,
    CONCHE_HEARS_REGISTER,
    CONCHE_HEARS_QUERY,
    CONCHE_HEARS_ANY_QUERY,
    CONCHE_HEARS_EVENT,
    CONCHE_HEARS_ANY_EVENT,
    CONCHE_HEARS_LISTENER,
} conche_hears;

typedef struct conche_item {
    conche_hears hears;
    const char *name;
    const char *const *keys; /* ops or types, NULL after the last */
    bool whole;              /* which of the two forms the function has */
    union {
        conche_data_query *data_query;
        conche_whole_query *whole_query;
        conche_data_event *data_event;
        conche_whole_event *whole_event;
        conche_error *(*hook)(void);
    };
} conche_item;

extern const conche_item conche_items[];

#define CONCHE_KEYS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* clang-format off */
#define CONCHE_QUERY_ITEM(what, text, function, ...)                                              \
    {.hears = what, .name = text, .keys = CONCHE_KEYS(__VA_ARGS__),                               \
     .whole = _Generic(&(function), conche_whole_query *: true, conche_data_query *: false),      \
     .data_query = (conche_data_query *)(function)}
#define CONCHE_EVENT_ITEM(what, text, function, ...)                                              \
    {.hears = what, .name = text, .keys = CONCHE_KEYS(__VA_ARGS__),                               \
     .whole = _Generic(&(function), conche_whole_event *: true, conche_data_event *: false),      \
     .data_event = (conche_data_event *)(function)}
/* clang-format on */

#endif
