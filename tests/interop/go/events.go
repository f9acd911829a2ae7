package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A constant of the old package.
const ackWait = 60 * time.Second

// publish is Publish and PublishWithTransactionID: it waits until the event is stored.
func publish(ctx context.Context, config natsConfig, eventType, transactionID string, data any) error {
	ce, err := createCloudEvent(config.clientID, eventType, transactionID, data)
	if err != nil {
		return err
	}
	body, err := json.Marshal(ce)
	if err != nil {
		return err
	}
	nc, err := connect(config)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, config.eventsTimeout)
	defer cancel()
	ack, err := js.Publish(ctx, eventType, body)
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]any{"id": ce.ID(), "stream": ack.Stream, "sequence": ack.Sequence})
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	return nil
}

// consume prints each event as the SDK reads it, and acknowledges it.
func consume(ctx context.Context, config natsConfig, stream, subject string, count int) error {
	nc, err := connect(config)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, config.eventsTimeout)
	defer cancel()
	consumer, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable:       config.durableName,
		FilterSubject: subject,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
	})
	if err != nil {
		return err
	}
	batch, err := consumer.Fetch(count, jetstream.FetchMaxWait(config.eventsTimeout))
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		ce, err := readCloudEvent(msg.Data())
		if err != nil {
			return err
		}
		line, err := json.Marshal(ce)
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", line)
		if err := msg.DoubleAck(ctx); err != nil {
			return err
		}
		count--
	}
	if count > 0 {
		return fmt.Errorf("%d events fewer than asked for: %v", count, batch.Error())
	}
	return nil
}
