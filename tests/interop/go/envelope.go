package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/rs/xid"
)

const (
	contentType = "application/json; charset=utf-8"
	// The documentation calls it transaction id; this is the name of the extension attribute.
	transactionAttribute = "transactionid"
)

// createCloudEvent wraps data. How the SDK writes it depends on its Go type: a value goes under
// "data", a byte slice under "data_base64", and nil leaves both out.
func createCloudEvent(source, eventType, transactionID string, data any) (event.Event, error) {
	ce := event.New()
	ce.SetID("cloudevent-" + xid.New().String())
	ce.SetSource(source)
	ce.SetType(eventType)
	ce.SetTime(time.Now().UTC())
	if transactionID != "" {
		ce.SetExtension(transactionAttribute, transactionID)
	}
	if err := ce.SetData(contentType, data); err != nil {
		return ce, err
	}
	return ce, ce.Validate()
}

// readCloudEvent reads structured mode, the only one that the old package knows.
func readCloudEvent(body []byte) (event.Event, error) {
	var ce event.Event
	if err := json.Unmarshal(body, &ce); err != nil {
		return ce, fmt.Errorf("no CloudEvent: %w", err)
	}
	return ce, nil
}

func transactionIDOf(ce event.Event) string {
	id, _ := ce.Extensions()[transactionAttribute].(string)
	return id
}
