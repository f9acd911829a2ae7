package conche

import (
	"math"
	"time"

	"conche.dev/conche/internal/host"
)

// Emit sends an event. It is kept back and released only if the handler succeeds; the result is the
// id it will carry. An error is a [SendError], here and below.
func Emit(event Draft) (string, error) {
	draft, err := event.written()
	if err != nil {
		return "", err
	}
	id, failed := host.Emit(draft)
	return id, sendError(failed)
}

// Request asks a query now and waits for its answer. The time-out ends a little before [Remaining]
// at the latest; 0 is the host's own.
func Request(query Draft, timeout time.Duration) (*CloudEvent, error) {
	draft, err := query.written()
	if err != nil {
		return nil, err
	}
	answer, failed := host.Request(draft, timeoutMS(timeout))
	return answered(answer, failed)
}

// Answer is one of those that [RequestAll] gives: an event, or why there is none.
type Answer struct {
	Event *CloudEvent
	Err   error
}

// RequestAll asks several queries at once. Their answers stand in the order of the queries; the
// time-out is that of the whole.
func RequestAll(queries []Draft, timeout time.Duration) []Answer {
	answers := make([]Answer, len(queries))
	var drafts []host.Draft
	var places []int
	for i := range queries {
		draft, err := queries[i].written()
		if err != nil {
			answers[i].Err = err
			continue
		}
		drafts, places = append(drafts, *draft), append(places, i)
	}
	for i, answer := range host.RequestAll(drafts, timeoutMS(timeout)) {
		place := &answers[places[i]]
		place.Event, place.Err = answered(answer.Event, answer.Err)
	}
	return answers
}

// Exchange publishes an event now (no later failure undoes it, a retry repeats its id), then waits
// for the first event of one of these types with the same transaction id. Without one, in the draft
// or in the call, it begins a transaction. The time-out is as that of a request.
//
// Do not wait so for what this plugin handles itself: its other events may come first, and take
// every slot while they wait for the same. [Request] is made for that.
func Exchange(event Draft, answerTypes []string, timeout time.Duration) (*CloudEvent, error) {
	draft, err := event.written()
	if err != nil {
		return nil, err
	}
	answer, failed := host.Exchange(draft, cleanAll(answerTypes), timeoutMS(timeout))
	return answered(answer, failed)
}

func answered(answer host.Event, failed *host.SendError) (*CloudEvent, error) {
	if failed != nil {
		return nil, sendError(failed)
	}
	return received(answer, host.Matched{}), nil
}

func sendError(from *host.SendError) error {
	if from == nil {
		return nil
	}
	kinds := [...]error{
		host.Refused:      ErrRefused,
		host.OverBudget:   ErrOverBudget,
		host.Invalid:      ErrInvalid,
		host.NoResponders: ErrNoResponders,
		host.TimedOut:     ErrTimedOut,
		host.Busy:         ErrBusy,
		host.Remote:       ErrRemote,
		host.Other:        ErrOther,
	}
	e := &SendError{kind: kinds[from.Kind], text: from.Text}
	if from.Kind == host.Remote {
		fault := from.Fault
		e.fault = Fault(int(fault.Code), fault.Message).With(receivedData(fault.Details))
	}
	return e
}

// timeoutMS has no 0: that is the host's own.
func timeoutMS(timeout time.Duration) int64 {
	if timeout == 0 {
		return -1
	}
	return wholeMS(timeout)
}

// wholeMS is a time as the contract has it: milliseconds in 32 bits, rounded up. More than 49 days
// is 49 days.
func wholeMS(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond > 0 {
		ms++
	}
	return min(max(ms, 0), math.MaxUint32)
}

func cleanAll(texts []string) []string {
	cleaned := make([]string, len(texts))
	for i, text := range texts {
		cleaned[i] = clean(text)
	}
	return cleaned
}
