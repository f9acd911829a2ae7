package plugin

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"sync"
	"time"

	"conche.dev/conche"
)

// failures are the ways to fail, by name.
var failures = map[string]func() error{
	"fault": func() error { return conche.Fault(404, "not there").With([]string{"a"}) },
	"wrapped": func() error {
		return fmt.Errorf("while looking: %w", conche.Fault(404, "not there"))
	},
	"fault 503": func() error { return conche.Fault(503, "down") },
	"reject":    func() error { return conche.Reject(500, "never").With(1) },
	"retry":     func() error { return fmt.Errorf("this: %w", conche.Retry("later").After(1500*time.Microsecond)) },
	"refused": func() error {
		_, err := conche.Request(conche.Draft{Type: "$SYS.no"}, 0)
		return err
	},
	"invalid": func() error {
		_, err := conche.Emit(conche.Draft{Type: "org.cyverse.events.contract.Sent", Data: func() {}})
		return err
	},
	"config": func() error {
		_, err := conche.ParseConfig("size", time.ParseDuration, 0)
		return err
	},
	"plain": func() error { return errors.New("nobody meant this") },
	"nil": func() error {
		var answer *Answer
		return errors.New(answer.Text)
	},
	"index": func() error {
		var texts []string
		return errors.New(texts[len(texts)])
	},
	"panic": func() error { panic(fmt.Errorf("on purpose")) },
	"no text": func() error {
		return errors.New("no UTF-8: \xff")
	},
}

func fail(how string) (any, error) { return nil, failures[how]() }

func failEvent(how string) error { return failures[how]() }

func write(any) (any, error) {
	slog.Log(context.Background(), conche.LevelTrace, "one")
	slog.Debug("two", "number", 2, "error", errors.New("none"))
	slog.Info("three", slog.Group("group", "a", 1, "b", time.Second))
	slog.With("with", true).WithGroup("deep").Warn("four", "key", "value")
	slog.Error("five")
	slog.Log(context.Background(), conche.LevelCritical, "six")
	log.Print("as log does")
	return conche.Reply{}, nil
}

// churn leaves behind more than fits into memory, little by little and in large pieces.
func churn(megabytes int) (int, error) {
	kept := 0
	for range megabytes {
		large := make([]byte, 1<<19)
		small := make([][]byte, 1<<10)
		for i := range small {
			small[i] = make([]byte, 1<<9)
		}
		kept = len(large) + len(small)
	}
	return kept, nil
}

// wait lets goroutines ask at the same time, and sleep.
func wait(count int) ([]Answer, error) {
	answers := make([]Answer, count)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			time.Sleep(time.Duration(count-i) * time.Millisecond)
			answers[i] = described(conche.Request(conche.Draft{Type: "cyverse.users.Get", Data: i}, 0))
		})
	}
	all.Wait()
	return answers, nil
}
