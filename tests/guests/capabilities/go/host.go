package plugin

import (
	"context"
	"log/slog"
	"strconv"

	"conche.dev/conche"
)

// Facts of a call.
type Facts struct {
	Handler        string `json:"handler"`
	Attempt        int    `json:"attempt"`
	IdempotencyKey string `json:"idempotency_key"`
	Hops           int    `json:"hops"`
	InTime         bool   `json:"in_time"`
}

func facts(query *conche.CloudEvent) (Facts, error) {
	return Facts{
		Handler:        query.Handler,
		Attempt:        conche.Attempt(),
		IdempotencyKey: conche.IdempotencyKey(),
		Hops:           conche.Hops(),
		InTime:         conche.Remaining() > 0,
	}, nil
}

func tellFacts(event *conche.CloudEvent) error {
	facts, err := facts(event)
	if err != nil {
		return err
	}
	return tell(facts)
}

// Configuration is what the policy says; null stands for what it does not.
type Configuration struct {
	Keys   []string `json:"keys"`
	Colour *string  `json:"colour"`
	Taste  *string  `json:"taste"`
	Limit  *uint64  `json:"limit"`
}

func configuration(any) (Configuration, error) {
	parse := func(text string) (*uint64, error) {
		number, err := strconv.ParseUint(text, 10, 32)
		return &number, err
	}
	limit, err := conche.ParseConfig("limit", parse, nil)
	return Configuration{conche.ConfigKeys(), value("colour"), value("taste"), limit}, err
}

func value(key string) *string {
	if text, ok := conche.Config(key); ok {
		return &text
	}
	return nil
}

func lines(any) (any, error) {
	ctx := context.Background()
	slog.Log(ctx, conche.LevelTrace, "one", "n", 1, "word", "Zoë")
	slog.Debug("two", "n", "2")
	slog.Info("three")
	slog.Warn("four")
	slog.Error("five")
	slog.Log(ctx, conche.LevelCritical, "six")
	return nil, nil
}

func handlerAlone(query *conche.CloudEvent) (map[string]string, error) {
	return map[string]string{"handler": query.Handler}, nil
}
