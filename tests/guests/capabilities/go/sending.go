package plugin

import (
	"encoding/json"
	"time"

	"conche.dev/conche"
)

const soon = 200 * time.Millisecond

func ask(query *conche.CloudEvent) (conche.Reply, error) {
	answer, err := askBySubject(query)
	if err != nil {
		return conche.Reply{}, err
	}
	return replyOf(answer), nil
}

func tellAnswer(event *conche.CloudEvent) error {
	answer, err := askBySubject(event)
	if err != nil {
		return err
	}
	return tell(answer.Data)
}

func askBySubject(message *conche.CloudEvent) (*conche.CloudEvent, error) {
	question := conche.Draft{Type: message.Subject, Subject: "asked", Data: message.Data}
	return conche.Request(question, soon)
}

// Answer is what was asked for, or why it is not there.
type Answer struct {
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

func askAll(any) ([]Answer, error) {
	id := func(id int) map[string]int { return map[string]int{"id": id} }
	answers := conche.RequestAll([]conche.Draft{
		{Type: "cyverse.users.Get", Data: id(1)},
		{Type: "cyverse.users.Get", Data: id(2)},
		{Type: "cyverse.secrets.Get"},
		{Type: "cyverse.users.Count"},
	}, soon)
	all := make([]Answer, len(answers))
	for i, answer := range answers {
		if answer.Err != nil {
			all[i].Error = answer.Err.Error()
		} else {
			all[i].Value = answer.Event.Data
		}
	}
	return all, nil
}

// Exchanged is the event that answered another.
type Exchanged struct {
	Type   string `json:"type"`
	Answer any    `json:"answer"`
}

func exchange(data json.RawMessage) (Exchanged, error) {
	asked := conche.Draft{Type: events + "Asked", Data: data}
	answer, err := conche.Exchange(asked, []string{events + "No", events + "Yes"}, soon)
	if err != nil {
		return Exchanged{}, err
	}
	return Exchanged{answer.Type, answer.Data}, nil
}

// Emit says how many events of a type shall be emitted.
type Emit struct {
	Type  string `json:"type"`
	Times int    `json:"times"`
}

// Emitted are their ids.
type Emitted struct {
	IDs []string `json:"ids"`
}

func emitSome(emit Emit) (Emitted, error) {
	var emitted Emitted
	for range emit.Times {
		id, err := conche.Emit(conche.Draft{Type: emit.Type})
		if err != nil {
			return emitted, err
		}
		emitted.IDs = append(emitted.IDs, id)
	}
	return emitted, nil
}

// Listen says what to listen for.
type Listen struct {
	Handler       string `json:"handler"`
	ByTransaction bool   `json:"by_transaction,omitempty"`
}

// Listener has the id of one.
type Listener struct {
	ID string `json:"id"`
}

func listen(ask Listen) (Listener, error) {
	wanted := conche.Listening{Handler: ask.Handler, Types: []string{events + "Yes"}}
	if ask.ByTransaction {
		wanted.Types = append(wanted.Types, events+"No")
		wanted.TransactionID = "tid-of-another"
		wanted.Once = true
		wanted.State = "where it stopped: Zoë"
		wanted.Expires = 5 * time.Second
	}
	id, err := conche.AddListener(wanted)
	if err == nil && ask.ByTransaction {
		err = conche.RemoveListener("listener-old")
	}
	return Listener{id}, err
}

func heard(event conche.With[any]) error {
	return tell(map[string]any{
		"handler":  event.Handler,
		"listener": event.Listener,
		"state":    event.State,
		"data":     event.Ask,
	})
}
