package conche

import (
	"errors"
	"fmt"
	"time"

	"conche.dev/conche/internal/host"
)

// FaultError is an error as an answer. An event that fails with one comes again if its code is 500
// or more, and is rejected otherwise.
type FaultError struct {
	// Code is as in HTTP: 4xx do not repeat, 5xx may be repeated.
	Code    int
	Message string
	// Details are for programs: what Draft.Data can be.
	Details any
}

// Fault makes an error with a code as in HTTP.
func Fault(code int, message string) *FaultError {
	return &FaultError{Code: code, Message: message}
}

// With is the same with details: whatever can be written as JSON.
func (e *FaultError) With(details any) *FaultError {
	with := *e
	with.Details = details
	return &with
}

func (e *FaultError) Error() string { return fmt.Sprintf("%s (code %d)", e.Message, e.Code) }

// RejectError sends an event to the dead letters, whatever the code. A query is answered with it.
type RejectError struct{ FaultError }

// Reject makes an error that says: never again.
func Reject(code int, message string) *RejectError {
	return &RejectError{FaultError{Code: code, Message: message}}
}

// With is the same with details, as of a fault.
func (e *RejectError) With(details any) *RejectError {
	return &RejectError{*e.FaultError.With(details)}
}

// RetryError makes an event come again, as often as the policy allows. A query is answered with a
// fault 503: it cannot come again.
type RetryError struct {
	Message string
	delay   *time.Duration
}

// Retry makes an error that says: later. When, the host decides.
func Retry(message string) *RetryError { return &RetryError{Message: message} }

// After is the same, and not before this time has passed.
func (e *RetryError) After(delay time.Duration) *RetryError {
	return &RetryError{e.Message, &delay}
}

func (e *RetryError) Error() string { return e.Message }

// Silence is returned as the error of a query handler that gives no answer: its asker times out, as
// if nobody had heard.
var Silence = errors.New("no answer")

// SendError says why a message was not sent, or a request got no answer. Its kind is found with
// errors.Is(err, conche.ErrBusy), the fault of the other side with errors.As.
type SendError struct {
	kind  error
	text  string
	fault *FaultError
}

// The kinds of SendError.
var (
	// ErrRefused: the policy does not grant it; the text says so, and which line to add.
	ErrRefused = errors.New("refused")
	// ErrOverBudget: a budget of this call (count, bytes, hops) is spent.
	ErrOverBudget = errors.New("over budget")
	// ErrInvalid: the message cannot be sent as it is.
	ErrInvalid = errors.New("invalid message")
	// ErrNoResponders: nobody serves this op.
	ErrNoResponders = errors.New("nobody answers")
	// ErrTimedOut: no answer came in time.
	ErrTimedOut = errors.New("timed out")
	// ErrBusy: shed before it ran; safe to repeat.
	ErrBusy = errors.New("busy")
	// ErrRemote: the other side answered with an error.
	ErrRemote = errors.New("the other side failed")
	// ErrOther is anything else.
	ErrOther = errors.New("not sent")
)

func (e *SendError) Error() string {
	switch e.kind {
	case ErrRefused, ErrOther:
		return e.text
	case ErrOverBudget, ErrInvalid:
		return e.kind.Error() + ": " + e.text
	case ErrRemote:
		return e.kind.Error() + ": " + e.fault.Error()
	}
	return e.kind.Error()
}

// Unwrap gives the kind and, if it is ErrRemote, the other side's fault.
func (e *SendError) Unwrap() []error {
	if e.fault != nil {
		return []error{e.kind, e.fault}
	}
	return []error{e.kind}
}

// ConfigError is a value in [config] that cannot be read.
type ConfigError struct {
	Key string
	Err error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("`%s` in [config]: %v", e.Key, e.Err) }

func (e *ConfigError) Unwrap() error { return e.Err }

// meant is an error that handlers fail with on purpose. It says what follows from it; text is that of
// the error it is wrapped in.
type meant interface {
	error
	answer(text string) *FaultError
	fate(text string) *host.Fate
}

func (e *FaultError) answer(string) *FaultError { return e }

func (e *FaultError) fate(text string) *host.Fate {
	if e.Code >= 500 {
		return later(text)
	}
	return never(e)
}

func (e *RejectError) fate(string) *host.Fate { return never(&e.FaultError) }

func (e *RetryError) answer(text string) *FaultError { return Fault(503, text) }

func (e *RetryError) fate(text string) *host.Fate {
	fate := later(text)
	if e.delay != nil {
		fate.Retry.AfterMS = wholeMS(*e.delay)
	}
	return fate
}

func (e *SendError) answer(text string) *FaultError {
	switch e.kind {
	case ErrRemote:
		return e.fault
	case ErrNoResponders, ErrBusy:
		return Fault(503, text)
	case ErrTimedOut:
		return Fault(504, text)
	}
	return Fault(500, text)
}

func (e *SendError) fate(text string) *host.Fate {
	switch e.kind {
	case ErrRemote:
		return e.fault.fate(e.fault.Error())
	case ErrRefused, ErrInvalid:
		return never(Fault(500, text))
	}
	return later(text)
}

func (e *ConfigError) answer(text string) *FaultError { return Fault(500, text) }

func (e *ConfigError) fate(text string) *host.Fate { return later(text) }

func never(e *FaultError) *host.Fate { return &host.Fate{Reject: e.written()} }

func later(text string) *host.Fate {
	return &host.Fate{Retry: &host.Retry{Message: clean(text), AfterMS: -1}}
}
