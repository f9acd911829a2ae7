package conche

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"conche.dev/conche/internal/host"
)

// CloudEvent is a message as it was received: a query, an event, or the answer to a request. What
// it does not have is empty.
type CloudEvent struct {
	ID string
	// Source is a URI reference: who made it.
	Source string
	// Type is the query's op or the event's type.
	Type string
	// Time is the RFC 3339 text as it came.
	Time            string
	Subject         string
	DataContentType string
	DataSchema      string
	// TransactionID ties a message, its answers and the events that follow from it together.
	TransactionID string
	Extensions    Extensions
	// Data is a json.RawMessage (the exact text), a [Text], a []byte, or nil: there is none, or it
	// travels by reference (the extension dataref).
	Data any

	// Handler is the name of the one that was called. Answers to requests have none.
	Handler string
	// Listener is the id that AddListener gave, if one of those matched.
	Listener string
	// State is what was given there.
	State string
}

// Text is data whose media type is not that of JSON.
type Text string

// Extensions are attributes beside those of the standard: a string, a bool, or an integer of at most
// 32 bits. What is received has no other integers than int32.
type Extensions map[string]any

// Parse reads JSON into what a pointer points to, as handlers get their data: what does not fit is a
// fault 400 that names the field. No data reads as null.
func (e *CloudEvent) Parse(into any) error {
	var text string
	switch data := e.Data.(type) {
	case nil:
		text = "null"
	case json.RawMessage:
		text = string(data)
	case Text:
		return Fault(400, "the data is text, not JSON")
	default:
		return Fault(400, "the data is binary, not JSON")
	}
	if err := parse(text, into); err != nil {
		if e.Data == nil {
			return Fault(400, "no data: "+err.Error())
		}
		return Fault(400, "invalid data: "+err.Error())
	}
	return nil
}

// With is the data of a message along with the message.
type With[T any] struct {
	*CloudEvent
	Ask T
}

// Draft is a message to send. The host adds id, source and time.
type Draft struct {
	// Type is the event's type or the query's op.
	Type string
	// Data is written as JSON, but for a json.RawMessage, a Text and a []byte, which go as they are.
	// Nil is no data; json.RawMessage("null") is a null.
	Data    any
	Subject string
	// DataContentType is that of the data's kind if it is empty.
	DataContentType string
	DataSchema      string
	// TransactionID is that of the call in progress if it is empty.
	TransactionID string
	Extensions    Extensions
	// Key names this message within the call: when the call is tried again, the message with the same
	// key goes out under the same id, whatever it then holds. Without it, the id comes from the
	// message itself and from how many equal ones were sent before.
	Key string
}

// Reply is the answer to a query, for a handler that sets more than data.
type Reply struct {
	// Type is the query's own if it is empty.
	Type string
	// Data is as in a Draft.
	Data            any
	Subject         string
	DataContentType string
	DataSchema      string
	Extensions      Extensions
}

func received(from host.Event, matched host.Matched) *CloudEvent {
	e := &CloudEvent{
		ID:              from.ID,
		Source:          from.Source,
		Type:            from.Type,
		Time:            from.Time,
		Subject:         from.Subject,
		DataContentType: from.ContentType,
		DataSchema:      from.DataSchema,
		TransactionID:   from.TransactionID,
		Extensions:      make(Extensions, len(from.Extensions)),
		Data:            receivedData(from.Data),
		Handler:         matched.Handler,
		Listener:        matched.Listener,
		State:           matched.State,
	}
	for _, extension := range from.Extensions {
		e.Extensions[extension.Name] = extension.Value
	}
	return e
}

func receivedData(from host.Payload) any {
	switch from.Kind {
	case host.JSON:
		return json.RawMessage(from.Text)
	case host.Text:
		return Text(from.Text)
	case host.Binary:
		return []byte(from.Text)
	}
	return nil
}

func (d *Draft) written() (*host.Draft, error) {
	data, err := writtenData(d.Data)
	if err != nil {
		return nil, &SendError{kind: ErrInvalid, text: err.Error()}
	}
	extensions, err := d.Extensions.written()
	if err != nil {
		return nil, &SendError{kind: ErrInvalid, text: err.Error()}
	}
	return &host.Draft{
		Type:          clean(d.Type),
		Subject:       clean(d.Subject),
		ContentType:   clean(d.DataContentType),
		DataSchema:    clean(d.DataSchema),
		TransactionID: clean(d.TransactionID),
		Extensions:    extensions,
		Data:          data,
		Key:           clean(d.Key),
	}, nil
}

// written is the answer that a handler returned.
func written(answer any) (*host.Reply, error) {
	var r Reply
	switch answer := answer.(type) {
	case nil:
		r.Data = json.RawMessage("null")
	case Reply:
		r = answer
	case *Reply:
		r = *answer
	default:
		r.Data = answer
	}
	data, err := writtenData(r.Data)
	if err != nil {
		return nil, Fault(500, "the answer is no JSON: "+err.Error())
	}
	extensions, err := r.Extensions.written()
	if err != nil {
		return nil, Fault(500, err.Error())
	}
	return &host.Reply{
		Type:        clean(r.Type),
		Subject:     clean(r.Subject),
		ContentType: clean(r.DataContentType),
		DataSchema:  clean(r.DataSchema),
		Extensions:  extensions,
		Data:        data,
	}, nil
}

// written leaves out details that are no JSON: an error must not fail.
func (e *FaultError) written() *host.Fault {
	details, err := writtenData(e.Details)
	if err != nil {
		details = host.Payload{}
	}
	code := uint16(500)
	if 0 <= e.Code && e.Code <= math.MaxUint16 {
		code = uint16(e.Code)
	}
	return &host.Fault{Code: code, Message: clean(e.Message), Details: details}
}

func writtenData(data any) (host.Payload, error) {
	switch data := data.(type) {
	case nil:
		return host.Payload{}, nil
	case json.RawMessage:
		if !json.Valid(data) || !utf8.Valid(data) {
			return host.Payload{}, errors.New("a json.RawMessage that is none")
		}
		return host.Payload{Kind: host.JSON, Text: string(data)}, nil
	case Text:
		return host.Payload{Kind: host.Text, Text: clean(string(data))}, nil
	case []byte:
		return host.Payload{Kind: host.Binary, Text: string(data)}, nil
	}
	text, err := write(data)
	return host.Payload{Kind: host.JSON, Text: text}, err
}

func (e Extensions) written() ([]host.Extension, error) {
	written := make([]host.Extension, 0, len(e))
	for _, name := range slices.Sorted(maps.Keys(e)) {
		value, err := writtenAttribute(e[name])
		if err != nil {
			return nil, fmt.Errorf("extension `%s` %w", name, err)
		}
		written = append(written, host.Extension{Name: clean(name), Value: value})
	}
	return written, nil
}

// clean is text that may leave: what is no UTF-8 would end the call.
func clean(text string) string {
	return strings.ToValidUTF8(text, string(utf8.RuneError))
}
