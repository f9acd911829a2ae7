package conche

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"conche.dev/conche/internal/host"
)

// Export makes a plugin the one that this component is. Only what conche build generates calls it.
func Export(p *Plugin) {
	host.Served = served{p}
	slog.SetDefault(slog.New(logHandler{}))
}

// served is what the host sees of a plugin.
type served struct{ plugin *Plugin }

func (s served) Register() (err error) {
	defer catch(&err)
	return s.plugin.register()
}

func (s served) Query(matched host.Matched, query host.Event) (*host.Reply, *host.Fault) {
	answer, err := s.call("query", matched, query)
	if err == nil {
		return answer, nil
	}
	var known meant
	switch {
	case errors.Is(err, Silence):
		return nil, nil
	case errors.As(err, &known):
		return nil, known.answer(err.Error()).written()
	}
	return nil, Fault(500, failed(err)).written()
}

func (s served) Event(matched host.Matched, event host.Event) *host.Fate {
	_, err := s.call("event", matched, event)
	var known meant
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known.fate(err.Error())
	}
	return later(failed(err))
}

// call runs a handler, and writes its answer if it handles queries. A panic is an error like others.
func (s served) call(role string, matched host.Matched, message host.Event) (reply *host.Reply, err error) {
	defer catch(&err)
	handler := s.plugin.find(role, matched.Handler)
	if handler == nil {
		return nil, Fault(500, fmt.Sprintf("the plugin has no handler `%s`", matched.Handler))
	}
	answer, err := handler.run(received(message, matched))
	if err != nil || role == "event" {
		return nil, err
	}
	return written(answer)
}

// failed logs an error that nobody meant, and is what others are told of it.
func failed(err error) string {
	fields := []any{"error", err}
	var p *panicError
	if errors.As(err, &p) {
		fields = append(fields, "stack", p.stack)
	}
	slog.Error("the handler failed", fields...)
	return "the handler failed: " + err.Error()
}

// panicError is a panic that was caught.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string { return fmt.Sprint(e.value) }

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

func catch(err *error) {
	if value := recover(); value != nil {
		*err = &panicError{value, stack()}
	}
}

// stack is where a panic came from: the author's functions, without those of Go and of this package.
func stack() string {
	var lines []string
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	for more := true; more; {
		var frame runtime.Frame
		frame, more = frames.Next()
		name := frame.Function[strings.LastIndexByte(frame.Function, '/')+1:]
		isOurs := strings.HasPrefix(frame.Function, "conche.dev/conche")
		if !isOurs && !strings.HasPrefix(name, "runtime.") {
			lines = append(lines, fmt.Sprintf("%s (%s:%d)", name, frame.File, frame.Line))
		}
	}
	return strings.Join(lines, "\n")
}
