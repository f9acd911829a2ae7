//go:build !wasip1

package conche

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"conche.dev/conche/internal/host"
)

func TestSentMessages(t *testing.T) {
	d := here(t)
	id, err := Emit(Draft{Type: "t\xff", Data: 1, Extensions: Extensions{"b": uint8(2), "a": true}, Key: "k"})
	if id != "id" || err != nil {
		t.Fatal(id, err)
	}
	sent := d.sent[0]
	if sent.Type != "t\uFFFD" || sent.Data != asJSON("1") || sent.Key != "k" ||
		sent.Extensions[0] != (host.Extension{Name: "a", Value: true}) || sent.Extensions[1].Value != int32(2) {
		t.Errorf("%+v", sent)
	}
	if _, err := Emit(Draft{Data: make(chan int)}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func TestSeveralQuestions(t *testing.T) {
	d := here(t)
	d.answers = []host.Answer{
		{Event: host.Event{Type: "a", Data: asJSON(`{"name": "Ada"}`)}},
		{Err: &host.SendError{Kind: host.Remote, Fault: host.Fault{Code: 404, Message: "gone", Details: asJSON("1")}}},
	}
	answers := RequestAll([]Draft{{Type: "a"}, {Data: func() {}}, {Type: "b"}}, 1500*time.Microsecond)
	if d.timeout != 2 || len(d.sent) != 2 || !errors.Is(answers[1].Err, ErrInvalid) {
		t.Error(d.timeout, d.sent, answers[1])
	}
	var read ask
	if err := answers[0].Event.Parse(&read); err != nil || read.Name != "Ada" {
		t.Error(read, err)
	}
	var fault *FaultError
	if !errors.Is(answers[2].Err, ErrRemote) || !errors.As(answers[2].Err, &fault) || fault.Code != 404 {
		t.Error(answers[2].Err)
	}
}

func TestListening(t *testing.T) {
	d := here(t)
	id, err := AddListener(Listening{Handler: "h", Once: true})
	if id != "listener-1" || err != nil || d.added.ExpiresMS != -1 {
		t.Error(id, err, d.added)
	}
	d.failure = &host.SendError{Kind: host.OverBudget, Text: "listeners"}
	if err := RemoveListener(id); !errors.Is(err, ErrOverBudget) {
		t.Error(err)
	}
}

func TestConfiguration(t *testing.T) {
	d := here(t)
	d.config = map[string]string{"n": "7", "bad": "seven"}
	if n, err := ParseConfig("n", strconv.Atoi, 3); n != 7 || err != nil {
		t.Error(n, err)
	}
	if n, err := ParseConfig("absent", strconv.Atoi, 3); n != 3 || err != nil {
		t.Error(n, err)
	}
	var wrong *ConfigError
	if _, err := ParseConfig("bad", strconv.Atoi, 3); !errors.As(err, &wrong) || wrong.Key != "bad" {
		t.Error(err)
	}
}
