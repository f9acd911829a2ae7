//go:build !wasip1

package conche

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"conche.dev/conche/internal/host"
)

type ask struct {
	Name string `json:"name"`
}

func greet(ask ask) (string, error) { return "Hello, " + ask.Name + "!", nil }

type shop struct{}

func (*shop) open(any) error { return nil }

func asJSON(text string) host.Payload { return host.Payload{Kind: host.JSON, Text: text} }

// query calls a handler as the host does.
func query[In, Out any](handler func(In) (Out, error), data host.Payload) (*host.Reply, *host.Fault) {
	p := served{New(Query(handler, "op").As("h"))}
	return p.Query(host.Matched{Handler: "h"}, host.Event{ID: "id-1", Type: "op", Data: data})
}

func TestQueriesAreAnswered(t *testing.T) {
	here(t)
	for _, one := range []struct {
		answer   any
		expected host.Payload
	}{
		{"<é>", asJSON(`"<é>"`)},
		{nil, asJSON("null")},
		{uint64(1<<64 - 1), asJSON("18446744073709551615")},
		{json.RawMessage("[1.50]"), asJSON("[1.50]")},
		{Text("text\xff"), host.Payload{Kind: host.Text, Text: "text\uFFFD"}},
		{[]byte{1}, host.Payload{Kind: host.Binary, Text: "\x01"}},
		{Reply{}, host.Payload{}},
		{Reply{Data: 1}, asJSON("1")},
		{&Reply{Data: 1}, asJSON("1")},
	} {
		reply, fault := query(func(any) (any, error) { return one.answer, nil }, host.Payload{})
		if fault != nil || reply.Data != one.expected {
			t.Errorf("%v: %v, %v", one.answer, reply, fault)
		}
	}
	reply, fault := query(greet, asJSON(`{"name": "Ada"}`))
	if fault != nil || reply.Data != asJSON(`"Hello, Ada!"`) {
		t.Error(reply, fault)
	}
	if reply, fault := query(func(any) (any, error) { return nil, Silence }, host.Payload{}); reply != nil || fault != nil {
		t.Error(reply, fault)
	}
}

func TestWhatIsNoAnswerIsAFault(t *testing.T) {
	here(t)
	for _, one := range []struct {
		answer   any
		expected string
	}{
		{func() {}, "the answer is no JSON: unsupported type: func()"},
		{json.RawMessage("{"), "the answer is no JSON: a json.RawMessage that is none"},
		{Reply{Extensions: Extensions{"a": 1 << 31}}, "extension `a` does not fit in 32 bits"},
		{Reply{Extensions: Extensions{"a": 1.5}}, "extension `a` is neither boolean, integer nor string"},
	} {
		_, fault := query(func(any) (any, error) { return one.answer, nil }, host.Payload{})
		if fault == nil || fault.Code != 500 || fault.Message != one.expected {
			t.Errorf("%v: %v", one.answer, fault)
		}
	}
}

func TestDataThatDoNotFitAreAFault(t *testing.T) {
	here(t)
	for _, one := range []struct {
		data     host.Payload
		expected string
	}{
		{host.Payload{}, "no data: it is null, not an object"},
		{asJSON("{}"), "invalid data: `name` is missing"},
		{host.Payload{Kind: host.Text}, "the data is text, not JSON"},
		{host.Payload{Kind: host.Binary}, "the data is binary, not JSON"},
	} {
		_, fault := query(greet, one.data)
		if fault == nil || fault.Code != 400 || fault.Message != one.expected {
			t.Errorf("%v: %v", one.data, fault)
		}
	}
}

func TestAHandlerTakesTheMessageAndItsData(t *testing.T) {
	here(t)
	both := func(query With[ask]) (string, error) { return query.ID + query.Ask.Name, nil }
	if reply, _ := query(both, asJSON(`{"name": "a"}`)); reply.Data != asJSON(`"id-1a"`) {
		t.Error(reply)
	}
	whole := func(query *CloudEvent) (any, error) { return query.Data, nil }
	if reply, _ := query(whole, host.Payload{Kind: host.Text, Text: "t"}); reply.Data.Text != "t" {
		t.Error(reply)
	}
}

// What an error comes to: of a query, and of an event.
func TestErrors(t *testing.T) {
	d := here(t)
	again := func(message string, afterMS int64) *host.Retry {
		return &host.Retry{Message: message, AfterMS: afterMS}
	}
	remote := func(code int) error {
		return &SendError{kind: ErrRemote, fault: Fault(code, "down")}
	}
	for _, one := range []struct {
		err   error
		code  uint16
		text  string
		retry *host.Retry
	}{
		{Fault(404, "gone"), 404, "gone", nil},
		{fmt.Errorf("so: %w", Fault(404, "gone")), 404, "gone", nil},
		{Fault(500, "down"), 500, "down", again("down (code 500)", -1)},
		{Reject(500, "never"), 500, "never", nil},
		{Retry("later"), 503, "later", again("later", -1)},
		{Retry("later").After(1500 * time.Millisecond), 503, "later", again("later", 1500)},
		{fmt.Errorf("so: %w", Retry("later").After(time.Nanosecond)), 503, "so: later", again("so: later", 1)},
		{Retry("later").After(-1), 503, "later", again("later", 0)},
		{remote(404), 404, "down", nil},
		{remote(503), 503, "down", again("down (code 503)", -1)},
		{&SendError{kind: ErrRefused, text: "add a line"}, 500, "add a line", nil},
		{&SendError{kind: ErrInvalid, text: "type"}, 500, "invalid message: type", nil},
		{&SendError{kind: ErrOverBudget, text: "emits"}, 500, "over budget: emits", again("over budget: emits", -1)},
		{&SendError{kind: ErrBusy}, 503, "busy", again("busy", -1)},
		{&SendError{kind: ErrNoResponders}, 503, "nobody answers", again("nobody answers", -1)},
		{&SendError{kind: ErrTimedOut}, 504, "timed out", again("timed out", -1)},
		{&SendError{kind: ErrOther, text: "odd"}, 500, "odd", again("odd", -1)},
		{&ConfigError{"key", errors.New("bad")}, 500, "`key` in [config]: bad", again("`key` in [config]: bad", -1)},
	} {
		_, fault := query(func(any) (any, error) { return nil, one.err }, host.Payload{})
		if fault == nil || fault.Code != one.code || fault.Message != one.text {
			t.Errorf("%v: %v", one.err, fault)
		}
		event := served{New(Event(func(any) error { return one.err }, "type").As("h"))}
		fate := event.Event(host.Matched{Handler: "h"}, host.Event{})
		expected := &host.Fate{Reject: fault}
		if one.retry != nil {
			expected = &host.Fate{Retry: one.retry}
		}
		if !reflect.DeepEqual(fate, expected) {
			t.Errorf("%v: %+v", one.err, fate)
		}
	}
	if len(d.lines) > 0 {
		t.Error(d.lines)
	}
}

func TestOtherErrorsAndPanicsAreLogged(t *testing.T) {
	d := here(t)
	for _, handler := range []func(any) (any, error){
		func(any) (any, error) { return nil, errors.New("on purpose") },
		func(any) (any, error) { panic("on purpose") },
	} {
		p := New(Query(handler, "op").As("h"))
		Export(p)
		_, fault := host.Served.Query(host.Matched{Handler: "h"}, host.Event{})
		if fault == nil || fault.Code != 500 || fault.Message != "the handler failed: on purpose" {
			t.Error(fault)
		}
	}
	if len(d.lines) != 2 || d.lines[0] != "4 the handler failed error=on purpose" {
		t.Error(d.lines)
	}
}

func TestRegistrations(t *testing.T) {
	d := here(t)
	hook := func(r *Registration) error {
		r.Query("greet", "c")
		r.AnyEvent("open")
		return nil
	}
	p := served{New(Reusable(), Query(greet, "a", "b"), Query(greet).As("other"), AnyQuery(greet), AnyEvent((&shop{}).open),
		Event(new(shop).open, "x", "y"), Listener(new(shop).open), Register(hook))}
	if err := p.Register(); err != nil {
		t.Fatal(err)
	}
	expected := []string{"reusable", "query greet a", "query greet b", "any query greet", "any event open",
		"event open x y", "listener open", "query greet c", "any event open"}
	if !slices.Equal(d.registered, expected) {
		t.Error(d.registered)
	}
}

func TestWhatIsWrongWithAPlugin(t *testing.T) {
	here(t)
	event := Event(new(shop).open, "x")
	for _, one := range []struct {
		expected string
		plugin   *Plugin
	}{
		{"one of the query handlers is a function without a name: name it with .As(\"…\")",
			New(event, Query(func(any) (any, error) { return nil, nil }))},
		{"two query handlers are called `greet`: name one with .As(\"…\")",
			New(event, Query(greet), Query(func(any) (any, error) { return nil, nil }).As("greet"))},
		{"one of the query handlers is nil", New(event, Query[any, any](nil))},
		{"no event handler is called `greet`: New is told of those that there are",
			New(event, Query(greet), Register(func(r *Registration) error { r.Event("greet", "x"); return nil }))},
		{"bad", New(event, Query(greet), Register(func(*Registration) error { return errors.New("bad") }))},
		{"thrown", New(event, Query(greet), Register(func(*Registration) error { panic("thrown") }))},
	} {
		if err := (served{one.plugin}).Register(); err == nil || err.Error() != one.expected {
			t.Errorf("%q: %v", one.expected, err)
		}
	}
}

func TestTheKindIsThatOfTheHandlers(t *testing.T) {
	here(t)
	query, event := Query(greet, "op"), Event(new(shop).open, "x")
	for _, one := range []struct {
		queries, events bool
		plugin          *Plugin
		expected        string
	}{
		{true, true, New(query), "it has handlers of queries only, and `kind` in conche-plugin.toml says otherwise: say kind = \"query\""},
		{false, true, New(query), "it has handlers of queries only, and `kind` in conche-plugin.toml says otherwise: say kind = \"query\""},
		{true, false, New(event), "it has handlers of events only, and `kind` in conche-plugin.toml says otherwise: say kind = \"event\""},
		{true, false, New(query, event), "it has handlers of queries and events, and `kind` in conche-plugin.toml says otherwise: say kind = \"both\""},
		{false, true, New(), "it has no handler: tell New of one, by Query or Event"},
	} {
		host.HandlesQueries, host.HandlesEvents = one.queries, one.events
		if err := (served{one.plugin}).Register(); err == nil || err.Error() != one.expected {
			t.Errorf("%s: %v", one.expected, err)
		}
	}
}
