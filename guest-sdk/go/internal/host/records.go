// Package host is the seam between the SDK and what calls it: the records of wit/handler.wit as
// plain Go values, the functions that the host has, and those that it calls. In a component they
// are the contract's own, in files that end in _wasip1.go; elsewhere a test's double stands in.
// It must not know what a handler looks like, nor what JSON is.
//
// The bindings are written by hand, not generated. There are few, and they stay: no function and no
// record of the contract ever changes. Generated ones bring a runtime of their own, which reaches
// into Go's, and lets a collection begin where the component model forbids it.
package host

// Matched says which registration caused a call.
type Matched struct {
	Handler, Listener, State string
}

// Event is a message as it was received. What is absent is empty, here and below.
type Event struct {
	ID, Source, Type, Time           string
	Subject, ContentType, DataSchema string
	TransactionID                    string
	Extensions                       []Extension
	Data                             Payload
}

// Draft is a message to send.
type Draft struct {
	Type                             string
	Subject, ContentType, DataSchema string
	TransactionID                    string
	Extensions                       []Extension
	Data                             Payload
	Key                              string
}

// Reply is the answer to a query.
type Reply struct {
	Type, Subject, ContentType, DataSchema string
	Extensions                             []Extension
	Data                                   Payload
}

// Extension has a bool, an int32 or a string.
type Extension struct {
	Name  string
	Value any
}

// Payload is the data of a message. Text holds the bytes, whatever the kind.
type Payload struct {
	Kind PayloadKind
	Text string
}

// PayloadKind tells the kinds of data apart.
type PayloadKind uint8

// In the order of the contract, after what it has an option for.
const (
	NoData PayloadKind = iota
	JSON
	Text
	Binary
)

// Fault is an error as an answer.
type Fault struct {
	Code    uint16
	Message string
	Details Payload
}

// Retry asks for an event to come again. A negative time is none.
type Retry struct {
	Message string
	AfterMS int64
}

// Fate is what becomes of an event that was not handled: one of the two.
type Fate struct {
	Reject *Fault
	Retry  *Retry
}

// SendError says why a message was not sent, or a request got no answer.
type SendError struct {
	Kind SendErrorKind
	// Text is there if the kind says no more than that.
	Text string
	// Fault is there if the kind is Remote.
	Fault Fault
}

// SendErrorKind tells them apart.
type SendErrorKind uint8

// In the order of the contract.
const (
	Refused SendErrorKind = iota
	OverBudget
	Invalid
	NoResponders
	TimedOut
	Busy
	Remote
	Other
)

// Answer is one of many.
type Answer struct {
	Event Event
	Err   *SendError
}

// Field stands in a line of the log.
type Field struct {
	Key, Value string
}

// Level of a line of the log, in the order of the contract.
type Level uint8

const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
	Critical
)

// Listener is what the host listens for on behalf of a handler. A negative time is none.
type Listener struct {
	Handler       string
	Types         []string
	TransactionID string
	Once          bool
	State         string
	ExpiresMS     int64
}

// Plugin is what the host calls.
type Plugin interface {
	Register() error
	Query(Matched, Event) (*Reply, *Fault)
	Event(Matched, Event) *Fate
}

// Of this component: set while it starts, before the host calls anything.
var (
	Served Plugin
	// Which of the handler interfaces it exports.
	HandlesQueries, HandlesEvents bool
)
