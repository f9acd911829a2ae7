//go:build !wasip1

package conche

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"conche.dev/conche/internal/host"
)

// double notes what it is told, and answers what a test says.
type double struct {
	config     map[string]string
	attempt    uint32
	registered []string
	sent       []host.Draft
	lines      []string
	// What is answered next, if not that all is well.
	failure *host.SendError
	answers []host.Answer
	timeout int64
	added   host.Listener
}

// here puts a double in the host's place for one test.
func here(t *testing.T) *double {
	d := &double{attempt: 1}
	host.Double, host.HandlesQueries, host.HandlesEvents = d, true, true
	t.Cleanup(func() { host.Double = nil })
	return d
}

func (d *double) note(format string, args ...any) {
	d.registered = append(d.registered, fmt.Sprintf(format, args...))
}

func (d *double) OnQuery(handler, op string) { d.note("query %s %s", handler, op) }
func (d *double) OnAnyQuery(handler string)  { d.note("any query %s", handler) }
func (d *double) OnEvent(handler string, types []string) {
	d.note("event %s %s", handler, strings.Join(types, " "))
}
func (d *double) OnAnyEvent(handler string)        { d.note("any event %s", handler) }
func (d *double) OnListener(handler string)        { d.note("listener %s", handler) }
func (d *double) Reusable()                        { d.note("reusable") }
func (d *double) Attempt() uint32                  { return d.attempt }
func (d *double) IdempotencyKey() string           { return "key" }
func (d *double) RemainingMS() uint32              { return 1500 }
func (d *double) Hops() uint32                     { return 2 }
func (d *double) ConfigKeys() []string             { return slices.Sorted(maps.Keys(d.config)) }
func (d *double) Config(key string) (string, bool) { value, ok := d.config[key]; return value, ok }

func (d *double) Log(level host.Level, message string, fields []host.Field) {
	line := fmt.Sprint(level, " ", message)
	for _, field := range fields {
		line += fmt.Sprintf(" %s=%s", field.Key, field.Value)
	}
	d.lines = append(d.lines, line)
}

func (d *double) Emit(event *host.Draft) (string, *host.SendError) {
	d.sent = append(d.sent, *event)
	return "id", d.failure
}

func (d *double) Request(query *host.Draft, timeoutMS int64) (host.Event, *host.SendError) {
	answer := d.RequestAll([]host.Draft{*query}, timeoutMS)[0]
	return answer.Event, answer.Err
}

func (d *double) RequestAll(queries []host.Draft, timeoutMS int64) []host.Answer {
	d.sent, d.timeout = append(d.sent, queries...), timeoutMS
	return d.answers
}

func (d *double) Exchange(sent *host.Draft, answerTypes []string, timeoutMS int64) (host.Event, *host.SendError) {
	d.note("%s", strings.Join(answerTypes, " "))
	return d.Request(sent, timeoutMS)
}

func (d *double) AddListener(l *host.Listener) (string, *host.SendError) {
	d.added = *l
	return "listener-1", d.failure
}

func (d *double) RemoveListener(string) *host.SendError { return d.failure }
