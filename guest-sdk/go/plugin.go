package conche

import (
	"reflect"
	"runtime"
	"strings"
)

// Plugin is all that a plugin hears, and what handles it.
type Plugin struct {
	reusable bool
	handlers []Handler
	hooks    []func(*Registration) error
}

// Part is what a plugin is made of: a [Handler], [Reusable] or [Register].
type Part interface {
	add(*Plugin)
}

// New makes a plugin. It is the one that conche build looks for if it is called Plugin:
//
//	var Plugin = conche.New(conche.Query(greet, "cyverse.greeter.Greet"))
func New(parts ...Part) *Plugin {
	p := &Plugin{}
	for _, part := range parts {
		part.add(p)
	}
	return p
}

type part func(*Plugin)

func (f part) add(p *Plugin) { f(p) }

// Reusable lets one instance serve many calls, one after the other: what a handler leaves in
// variables stays. Without it every call gets a fresh instance.
func Reusable() Part { return part(func(p *Plugin) { p.reusable = true }) }

// Register runs a function when the plugin is loaded, after all else is registered: to check the
// configuration, to register what depends on it. Its error refuses the plugin.
func Register(hook func(*Registration) error) Part {
	return part(func(p *Plugin) { p.hooks = append(p.hooks, hook) })
}

// Handler is a function and what it hears.
type Handler struct {
	name  string
	hears hears
	ops   []string
	// code tells whether two handlers of one name are one function.
	code uintptr
	run  func(*CloudEvent) (any, error)
}

type hears int

const (
	aQuery hears = iota
	anyQuery
	anEvent
	anyEvent
	aListener
)

func (h hears) role() string {
	if h <= anyQuery {
		return "query"
	}
	return "event"
}

func (h Handler) add(p *Plugin) { p.handlers = append(p.handlers, h) }

// As names the handler. Without it, its name is that of its function. The name stands in logs and in
// the ids of what the handler emits: keep it when the function is renamed.
func (h Handler) As(name string) Handler {
	h.name = name
	return h
}

// Query answers these query ops.
func Query[In, Out any](handler func(In) (Out, error), ops ...string) Handler {
	return queryHandler(aQuery, handler, ops)
}

// AnyQuery answers every query of the host's namespace that nothing else takes.
func AnyQuery[In, Out any](handler func(In) (Out, error)) Handler {
	return queryHandler(anyQuery, handler, nil)
}

// Event hears these event types.
func Event[In any](handler func(In) error, types ...string) Handler {
	return eventHandler(anEvent, handler, types)
}

// AnyEvent hears every event that no other handler of this plugin takes.
func AnyEvent[In any](handler func(In) error) Handler {
	return eventHandler(anyEvent, handler, nil)
}

// Listener hears what [AddListener] says.
func Listener[In any](handler func(In) error) Handler {
	return eventHandler(aListener, handler, nil)
}

func queryHandler[In, Out any](hears hears, handler func(In) (Out, error), ops []string) Handler {
	return newHandler(hears, handler, ops, func(e *CloudEvent) (any, error) {
		in, err := input[In](e)
		if err != nil {
			return nil, err
		}
		return handler(in)
	})
}

func eventHandler[In any](hears hears, handler func(In) error, types []string) Handler {
	return newHandler(hears, handler, types, func(e *CloudEvent) (any, error) {
		in, err := input[In](e)
		if err != nil {
			return nil, err
		}
		return nil, handler(in)
	})
}

func newHandler(hears hears, function any, ops []string, run func(*CloudEvent) (any, error)) Handler {
	code := reflect.ValueOf(function).Pointer()
	return Handler{ownName(code), hears, cleanAll(ops), code, run}
}

// ownName is that of a function or a method; one within another function has none.
func ownName(code uintptr) string {
	function := runtime.FuncForPC(code)
	if function == nil {
		return "" // a handler that is nil
	}
	name := function.Name() // example.com/shop.(*Shop).greet-fm, example.com/shop.greet[...]
	name, _, _ = strings.Cut(name[strings.LastIndexByte(name, '/')+1:], "[")
	name = strings.TrimSuffix(name[strings.LastIndexByte(name, '.')+1:], "-fm")
	if strings.HasPrefix(name, "func") && strings.Trim(name[4:], "0123456789") == "" {
		return ""
	}
	return name
}

// input is what a handler takes, made of a message.
func input[In any](e *CloudEvent) (In, error) {
	var in In
	switch into := any(&in).(type) {
	case **CloudEvent:
		*into = e
		return in, nil
	case whole:
		return in, into.read(e)
	}
	return in, e.Parse(&in)
}

// whole is a pointer to a With.
type whole interface {
	read(*CloudEvent) error
}

func (w *With[T]) read(e *CloudEvent) error {
	w.CloudEvent = e
	return e.Parse(&w.Ask)
}
