// Package plugin has every capability of the SDK once, as the cases in ../tests want it.
package plugin

import (
	"errors"

	"conche.dev/conche"
)

const (
	queries = "cyverse.capabilities."
	events  = "org.cyverse.events.capabilities."
)

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),

	conche.Query(echo, queries+"Echo"),
	conche.Query(silence, queries+"Silence"),
	conche.Event(repeat, events+"Copy"),
	conche.AnyQuery(rest),
	conche.AnyEvent(tellRest),

	conche.Query(facts, queries+"Facts"),
	conche.Event(tellFacts, events+"Facts").As("tell_facts"),
	conche.Query(configuration, queries+"Config"),
	conche.Query(lines, queries+"Log"),
	conche.Query(handlerAlone).As("late"),
	conche.Register(register),

	conche.Query(ask, queries+"Ask"),
	conche.Event(tellAnswer, events+"Ask"),
	conche.Query(askAll, queries+"AskAll"),
	conche.Query(exchange, queries+"Exchange"),
	conche.Query(emitSome, queries+"Emit"),
	conche.Event(withoutAnswer(emitSome), events+"Emit").As("emit_some"),

	conche.Query(listen, queries+"Listen"),
	conche.Event(withoutAnswer(listen), events+"Listen").As("listen"),
	conche.Listener(heard),

	conche.Query(fail, queries+"Fail"),
	conche.Event(withoutAnswer(fail), events+"Fail").As("fail"),
)

// withoutAnswer makes a handler of events of one of queries.
func withoutAnswer[In, Out any](handler func(In) (Out, error)) func(In) error {
	return func(in In) error {
		_, err := handler(in)
		return err
	}
}

func register(r *conche.Registration) error {
	if reason, ok := conche.Config("refuse"); ok {
		return errors.New(reason)
	}
	if op, ok := conche.Config("op"); ok {
		handler := "late"
		if named, ok := conche.Config("handler"); ok {
			handler = named
		}
		r.Query(handler, op)
	}
	return nil
}

func tell(data any) error {
	_, err := conche.Emit(conche.Draft{Type: events + "Told", Data: data})
	return err
}
