package conche

import (
	"errors"
	"fmt"

	"conche.dev/conche/internal/host"
)

// Registration declares what a plugin hears beyond what [New] was told, while it is being loaded.
// It names handlers that New was told of, if need be without ops: conche.Query(greet).
type Registration struct {
	plugin *Plugin
	err    error // the first
}

// Query lets a handler answer these query ops.
func (r *Registration) Query(handler string, ops ...string) {
	if r.has("query", handler) {
		onQueries(handler, cleanAll(ops))
	}
}

// AnyQuery lets it answer every query of the host's namespace that nothing else takes.
func (r *Registration) AnyQuery(handler string) {
	if r.has("query", handler) {
		host.OnAnyQuery(handler)
	}
}

// Event lets a handler hear these event types.
func (r *Registration) Event(handler string, types ...string) {
	if r.has("event", handler) {
		onEvents(handler, cleanAll(types))
	}
}

// AnyEvent lets it hear every event that no other handler of this plugin takes.
func (r *Registration) AnyEvent(handler string) {
	if r.has("event", handler) {
		host.OnAnyEvent(handler)
	}
}

// Listener lets [AddListener] name this handler.
func (r *Registration) Listener(handler string) {
	if r.has("event", handler) {
		host.OnListener(handler)
	}
}

// Reusable is as the part of that name.
func (r *Registration) Reusable() { host.Reusable() }

// has notes it if there is no such handler: the plugin is then refused.
func (r *Registration) has(role, handler string) bool {
	if r.plugin.find(role, handler) != nil {
		return true
	}
	if r.err == nil {
		r.err = fmt.Errorf("no %s handler is called `%s`: New is told of those that there are", role, handler)
	}
	return false
}

func (p *Plugin) find(role, name string) *Handler {
	for i := range p.handlers {
		if h := &p.handlers[i]; h.name == name && h.hears.role() == role {
			return h
		}
	}
	return nil
}

// check finds what is wrong with a plugin before it is registered.
func (p *Plugin) check() error {
	handles := map[string]bool{}
	for i := range p.handlers {
		h := &p.handlers[i]
		role := h.hears.role()
		handles[role] = true
		first := p.find(role, h.name)
		switch {
		case h.code == 0:
			return fmt.Errorf("one of the %s handlers is nil", role)
		case h.name == "":
			return fmt.Errorf("one of the %s handlers is a function without a name: name it with .As(\"…\")", role)
		case first.code != h.code:
			return fmt.Errorf("two %s handlers are called `%s`: name one with .As(\"…\")", role, h.name)
		}
	}
	return checkKind(handles["query"], handles["event"])
}

// checkKind holds what there is against what the component exports.
func checkKind(queries, events bool) error {
	if queries == host.HandlesQueries && events == host.HandlesEvents {
		return nil
	}
	there, kind := "queries and events", "both"
	switch {
	case !queries && !events:
		return errors.New("it has no handler: tell New of one, by Query or Event")
	case !events:
		there, kind = "queries only", "query"
	case !queries:
		there, kind = "events only", "event"
	}
	return fmt.Errorf("it has handlers of %s, and `kind` in conche-plugin.toml says otherwise: say kind = %q", there, kind)
}

func (p *Plugin) register() error {
	if err := p.check(); err != nil {
		return err
	}
	if p.reusable {
		host.Reusable()
	}
	for _, h := range p.handlers {
		switch h.hears {
		case aQuery:
			onQueries(h.name, h.ops)
		case anyQuery:
			host.OnAnyQuery(h.name)
		case anEvent:
			onEvents(h.name, h.ops)
		case anyEvent:
			host.OnAnyEvent(h.name)
		case aListener:
			host.OnListener(h.name)
		}
	}
	r := &Registration{plugin: p}
	for _, hook := range p.hooks {
		if err := errors.Join(hook(r), r.err); err != nil {
			return err
		}
	}
	return nil
}

func onQueries(handler string, ops []string) {
	for _, op := range ops {
		host.OnQuery(handler, op)
	}
}

func onEvents(handler string, types []string) {
	if len(types) > 0 {
		host.OnEvent(handler, types)
	}
}
