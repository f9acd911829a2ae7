package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// dataHandler is the data-only form: the library wraps what it returns into a CloudEvent. The type
// of the answer is the SDK's choice of how it is written, so there is a handler for each.
type dataHandler func(op, transactionID string, data []byte) (any, error)

// eventHandler is the whole-CloudEvent form: the bytes it returns are the answer.
type eventHandler func(query event.Event) ([]byte, error)

type service struct {
	config        natsConfig
	dataHandlers  map[string]dataHandler
	eventHandlers map[string]eventHandler
}

func newService(config natsConfig) *service {
	s := &service{config: config}
	s.dataHandlers = map[string]dataHandler{
		"cyverse.interop.Object": func(op, transactionID string, data []byte) (any, error) {
			return got(op, transactionID, data)
		},
		"cyverse.interop.Bytes": func(op, transactionID string, data []byte) (any, error) {
			answer, err := got(op, transactionID, data)
			if err != nil {
				return nil, err
			}
			return json.Marshal(answer)
		},
		"cyverse.interop.String": func(string, string, []byte) (any, error) { return `a "string"`, nil },
		"cyverse.interop.Nil":    func(string, string, []byte) (any, error) { return nil, nil },
		"cyverse.interop.Err":    func(string, string, []byte) (any, error) { return nil, errors.New("it failed") },
	}
	s.eventHandlers = map[string]eventHandler{
		"cyverse.interop.Event": func(query event.Event) ([]byte, error) {
			reply, err := createCloudEvent(config.clientID, "cyverse.interop.Answered", transactionIDOf(query), query.Data())
			if err != nil {
				return nil, err
			}
			reply.SetSubject(query.ID())
			return json.Marshal(reply)
		},
		"cyverse.interop.Raw": func(event.Event) ([]byte, error) { return []byte("no\x00event"), nil },
	}
	return s
}

// got is an answer that shows what the handler was given, digits of numbers included.
func got(op, transactionID string, data []byte) (map[string]any, error) {
	answer := map[string]any{"op": op, "transactionID": transactionID}
	if len(data) == 0 {
		return answer, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	answer["data"] = value
	return answer, nil
}

// serve holds one queue subscription on the wildcard subject, and finds the handler by itself.
func serve(config natsConfig) error {
	nc, err := connect(config)
	if err != nil {
		return err
	}
	defer nc.Close()
	s := newService(config)
	if _, err := nc.QueueSubscribe(config.wildcardSubject, config.queueGroup, s.receive); err != nil {
		return err
	}
	// A round trip: the server has the subscription.
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// receive answers a query. An error, or an op without a handler, sends nothing: the asker times
// out. What is not answered is printed, for whoever waits to see it.
func (s *service) receive(msg *nats.Msg) {
	answer, err := s.answer(msg)
	if err != nil {
		fmt.Printf("%s: %v\n", msg.Subject, err)
		return
	}
	if answer == nil {
		fmt.Printf("%s: no handler\n", msg.Subject)
		return
	}
	if err := msg.Respond(answer); err != nil {
		fmt.Printf("%s: %v\n", msg.Subject, err)
	}
}

func (s *service) answer(msg *nats.Msg) ([]byte, error) {
	query, err := readCloudEvent(msg.Data)
	if err != nil {
		return nil, err
	}
	if handler, ok := s.eventHandlers[query.Type()]; ok {
		return handler(query)
	}
	handler, ok := s.dataHandlers[query.Type()]
	if !ok {
		return nil, nil
	}
	data, err := handler(query.Type(), transactionIDOf(query), query.Data())
	if err != nil {
		return nil, err
	}
	reply, err := createCloudEvent(s.config.clientID, query.Type(), transactionIDOf(query), data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(reply)
}

// request is Request and RequestWithTransactionID: data in, data out.
func request(ctx context.Context, config natsConfig, op, transactionID string, data any) error {
	answer, err := ask(ctx, config, op, transactionID, data)
	if err != nil {
		return err
	}
	reply, err := readCloudEvent(answer)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", reply.Data())
	return nil
}

// requestCloudEvent is RequestCloudEvent: the answer is what the other side sent.
func requestCloudEvent(ctx context.Context, config natsConfig, op, transactionID string, data any) error {
	answer, err := ask(ctx, config, op, transactionID, data)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", answer)
	return nil
}

func ask(ctx context.Context, config natsConfig, op, transactionID string, data any) ([]byte, error) {
	query, err := createCloudEvent(config.clientID, op, transactionID, data)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	nc, err := connect(config)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(ctx, config.requestTimeout)
	defer cancel()
	answer, err := nc.RequestWithContext(ctx, op, body)
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}
