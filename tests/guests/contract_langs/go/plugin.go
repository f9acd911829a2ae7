// Package plugin does all that a plugin can do, one handler each, so that everything in the contract
// is passed through both ways.
package plugin

import (
	"errors"
	"strings"

	"conche.dev/conche"
)

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Query(echo, "cyverse.contract.Echo"),
	conche.Query(facts, "cyverse.contract.Facts"),
	conche.Query(digits, "cyverse.contract.Digits"),
	conche.Query(ask, "cyverse.contract.Ask"),
	conche.Query(askAll, "cyverse.contract.AskAll"),
	conche.Query(exchange, "cyverse.contract.Exchange"),
	conche.Query(listen, "cyverse.contract.Listen"),
	conche.Query(write, "cyverse.contract.Write"),
	conche.Query(fail, "cyverse.contract.Fail"),
	conche.Query(churn, "cyverse.contract.Churn"),
	conche.Query(wait, "cyverse.contract.Wait"),
	conche.Query(double),
	conche.AnyQuery(rest),
	conche.Event(send, "org.cyverse.events.contract.Send"),
	conche.Event(failEvent, "org.cyverse.events.contract.Fail"),
	conche.AnyEvent(unknown),
	conche.Listener(heard),
	conche.Register(check),
)

// check registers what the configuration names.
func check(r *conche.Registration) error {
	if ops, ok := conche.Config("ops"); ok {
		r.Query("double", strings.Split(ops, ",")...)
	}
	if reason, ok := conche.Config("refuse"); ok {
		return errors.New(reason)
	}
	return nil
}

func echo(query *conche.CloudEvent) (conche.Reply, error) {
	return conche.Reply{
		Data:            query.Data,
		Subject:         query.Subject,
		DataContentType: query.DataContentType,
		DataSchema:      query.DataSchema,
		Extensions:      query.Extensions,
	}, nil
}

func digits(data any) (any, error) { return data, nil }

func double(number int64) (int64, error) { return 2 * number, nil }

func rest(query *conche.CloudEvent) (string, error) {
	if query.Type == "cyverse.contract.Silence" {
		return "", conche.Silence
	}
	return query.Type, nil
}

// Facts are what a handler can ask about its call.
type Facts struct {
	Attempt        int               `json:"attempt"`
	IdempotencyKey string            `json:"idempotency_key"`
	HasTime        bool              `json:"has_time"`
	Hops           int               `json:"hops"`
	Config         map[string]string `json:"config"`
	Handler        string            `json:"handler"`
	Time           string            `json:"time"`
	TransactionID  string            `json:"transaction_id"`
	Ask            any               `json:"ask"`
}

func facts(query conche.With[any]) (Facts, error) {
	config := map[string]string{}
	for _, key := range conche.ConfigKeys() {
		config[key], _ = conche.Config(key)
	}
	return Facts{
		Attempt:        conche.Attempt(),
		IdempotencyKey: conche.IdempotencyKey(),
		HasTime:        conche.Remaining() > 0,
		Hops:           conche.Hops(),
		Config:         config,
		Handler:        query.Handler,
		Time:           query.Time,
		TransactionID:  query.TransactionID,
		Ask:            query.Ask,
	}, nil
}
