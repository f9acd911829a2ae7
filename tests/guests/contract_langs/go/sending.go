package plugin

import (
	"encoding/json"
	"errors"
	"time"

	"conche.dev/conche"
)

// Question is a query to send on.
type Question struct {
	Op   string          `json:"op"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Answer is what came of one.
type Answer struct {
	Type       string            `json:"type,omitempty"`
	Subject    string            `json:"subject,omitempty"`
	Extensions conche.Extensions `json:"extensions,omitempty"`
	Data       any               `json:"data,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Text       string            `json:"text,omitempty"`
	Code       int               `json:"code,omitempty"`
	Details    any               `json:"details,omitempty"`
}

var kinds = map[string]error{
	"refused":       conche.ErrRefused,
	"over-budget":   conche.ErrOverBudget,
	"invalid":       conche.ErrInvalid,
	"no-responders": conche.ErrNoResponders,
	"timed-out":     conche.ErrTimedOut,
	"busy":          conche.ErrBusy,
	"remote":        conche.ErrRemote,
	"other":         conche.ErrOther,
}

func described(event *conche.CloudEvent, err error) Answer {
	if err == nil {
		return Answer{Type: event.Type, Subject: event.Subject, Extensions: event.Extensions, Data: event.Data}
	}
	answer := Answer{Text: err.Error()}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			answer.Kind = name
		}
	}
	var fault *conche.FaultError
	if errors.As(err, &fault) {
		answer.Code, answer.Details = fault.Code, fault.Details
	}
	return answer
}

// draft sends JSON as it came; without any, no data.
func draft(question Question) conche.Draft {
	draft := conche.Draft{Type: question.Op}
	if question.Data != nil {
		draft.Data = question.Data
	}
	return draft
}

func ask(question Question) (Answer, error) {
	return described(conche.Request(draft(question), time.Second)), nil
}

func askAll(questions []Question) ([]Answer, error) {
	drafts := make([]conche.Draft, len(questions))
	for i, question := range questions {
		drafts[i] = draft(question)
	}
	answers := make([]Answer, len(questions))
	for i, answer := range conche.RequestAll(drafts, 300*time.Millisecond) {
		answers[i] = described(answer.Event, answer.Err)
	}
	return answers, nil
}

func exchange(question Question) (Answer, error) {
	answers := []string{"org.cyverse.events.contract.No", "org.cyverse.events.contract.Yes"}
	return described(conche.Exchange(draft(question), answers, 300*time.Millisecond)), nil
}

func listen(any) (string, error) {
	id, err := conche.AddListener(conche.Listening{
		Handler:       "heard",
		Types:         []string{"org.cyverse.events.contract.Yes", "org.cyverse.events.contract.No"},
		TransactionID: "tid-listened",
		Once:          true,
		State:         "where it stopped",
		Expires:       5 * time.Second,
	})
	if err != nil {
		return "", err
	}
	if _, err := conche.AddListener(conche.Listening{Handler: "heard", TransactionID: "tid-all"}); err != nil {
		return "", err
	}
	return id, conche.RemoveListener("listener-old")
}

func heard(event *conche.CloudEvent) error {
	_, err := conche.Emit(conche.Draft{
		Type: "org.cyverse.events.contract.Heard",
		Data: map[string]string{"listener": event.Listener, "state": event.State},
	})
	return err
}

// send emits one of each kind of data, and one with all that a draft can have.
func send(event conche.With[[]string]) error {
	drafts := []conche.Draft{
		{
			Data:            json.RawMessage(`{"b": 12345678901234567890123, "a": 1.50}`),
			Subject:         "s",
			DataContentType: "application/vnd.contract+json",
			DataSchema:      "https://example.com/schema",
			TransactionID:   "tid-sent",
			Extensions:      conche.Extensions{"number": -7, "flag": true, "word": "seven"},
			Key:             "all",
		},
		{Data: conche.Text("grüße")},
		{Data: []byte{0, 1, 2, 255}},
		{Data: event.Ask},
		{},
	}
	for _, draft := range drafts {
		draft.Type = "org.cyverse.events.contract.Sent"
		if _, err := conche.Emit(draft); err != nil {
			return err
		}
	}
	return nil
}

func unknown(event *conche.CloudEvent) error {
	_, err := conche.Emit(conche.Draft{Type: "org.cyverse.events.contract.Unknown", Subject: event.Type})
	return err
}
