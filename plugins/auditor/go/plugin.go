// Package plugin keeps a trail: hears every org.cyverse.events.GreetingRequested and
// org.cyverse.events.OrderCreated, emits one org.cyverse.events.AuditRecorded for each.
package plugin

import (
	"log/slog"

	"conche.dev/conche"
)

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Reusable(),
	conche.Event(record, "org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated"),
)

// Record is what an audit record says of the event that caused it.
type Record struct {
	ID      string  `json:"id"`
	Type    string  `json:"type"`
	Source  string  `json:"source"`
	Subject *string `json:"subject"`
	Time    *string `json:"time"`
}

// record takes the whole event, since the attributes matter here and the data does not.
func record(cause *conche.CloudEvent) error {
	id, err := conche.Emit(conche.Draft{
		Type: "org.cyverse.events.AuditRecorded",
		Data: Record{cause.ID, cause.Type, cause.Source, orNull(cause.Subject), orNull(cause.Time)},
		// One record an event: with the key, a retry sends the same one again and it is stored once.
		Key: "record",
	})
	if err != nil {
		return err
	}
	slog.Info("recorded", "record", id)
	return nil
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
