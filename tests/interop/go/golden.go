package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// golden is a message as a service sends it. Its id and time are fixed: the file is the same each
// time it is written.
type golden struct {
	file   string
	source string
	ty     string
	data   any
	more   func(*event.Event)
}

var goldens = []golden{
	{file: "query", ty: "cyverse.greeter.Greet", data: map[string]any{"name": "Ada"}},
	{file: "query-bytes", ty: "cyverse.probe.Echo", data: []byte(`{"name":"Ada"}`)},
	{file: "query-string", ty: "cyverse.probe.Echo", data: `a "string", <&>`},
	{file: "query-nil", ty: "cyverse.probe.Echo"},
	{
		file: "query-numbers",
		ty:   "cyverse.probe.Echo",
		data: map[string]any{"large": json.Number("12345678901234567890123"), "exact": json.Number("1.10")},
	},
	{
		file:   "query-attributes",
		source: "a-bare-client-id",
		ty:     "cyverse.probe.Echo",
		data:   []string{"a"},
		more: func(ce *event.Event) {
			ce.SetSubject("Ada Lovelace")
			ce.SetDataSchema("https://example.org/schema.json")
			ce.SetDataContentType("application/json")
			ce.SetExtension("flag", true)
			ce.SetExtension("number", 42)
			ce.SetExtension("text", "42")
		},
	},
	{
		file: "ask",
		ty:   "cyverse.probe.Ask",
		data: map[string]any{"op": "cyverse.old.Get", "data": map[string]any{"user": "ada"}, "timeout_ms": 100},
	},
	{
		file: "fault",
		ty:   "cyverse.probe.Fault",
		data: map[string]any{"code": 422, "message": "no such user", "details": map[string]any{"user": "ada"}},
	},
	{
		file: "effect",
		ty:   "cyverse.probe.Emit",
		data: map[string]any{
			"type":       "org.cyverse.events.probe.Out",
			"subject":    "Ada Lovelace",
			"extensions": map[string]any{"flag": true, "number": 42, "text": "42"},
			"data":       map[string]any{"user": "ada"},
		},
	},
	{
		file: "exchange",
		ty:   "cyverse.probe.Exchange",
		data: map[string]any{
			"type":         "org.cyverse.events.GreetingRequested",
			"answer_types": []string{"org.cyverse.events.AuditRecorded"},
			"data":         map[string]any{"user": "ada"},
		},
	},
	{
		file: "listener-once",
		ty:   "cyverse.probe.Do",
		data: map[string]any{"steps": []any{
			map[string]any{"listen": map[string]any{
				"handler": "heard", "types": []string{"org.cyverse.events.probe.Out"}, "once": true, "state": "kept",
			}},
			map[string]any{"emit": map[string]any{"type": "org.cyverse.events.probe.Out", "data": 1}},
		}},
	},
	{file: "event", ty: "org.cyverse.events.GreetingRequested", data: map[string]any{"name": "Ada"}},
	{file: "event-bytes", ty: "org.cyverse.events.probe.Do", data: []byte(`{"steps":[],"report":true}`)},
}

// writeGolden writes `<name>.in.txt`: the subject, an empty line (there are no headers), the body.
func writeGolden(directory string) error {
	for _, message := range goldens {
		source := message.source
		if source == "" {
			source = "https://example.org/users-microservice/users-0"
		}
		ce, err := createCloudEvent(source, message.ty, "tid-c0usj6qljdkc1t9cj000", message.data)
		if err != nil {
			return err
		}
		ce.SetID("cloudevent-c0usj6qljdkc1t9civvg")
		ce.SetTime(time.Date(2020, 2, 28, 12, 13, 39, 458925400, time.UTC))
		if message.more != nil {
			message.more(&ce)
		}
		if err := ce.Validate(); err != nil {
			return err
		}
		body, err := json.Marshal(ce)
		if err != nil {
			return err
		}
		text := bytes.Join([][]byte{[]byte(message.ty), nil, body, nil}, []byte("\n"))
		if err := os.WriteFile(filepath.Join(directory, message.file+".in.txt"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
