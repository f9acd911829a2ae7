// Interop plays the services that Conche has to get along with: those written with the Go package
// `messaging` of CACAO. It does on the wire what the documentation of that package says, with the
// libraries that it is built on (nats.go, the CloudEvents SDK), and nothing that is not documented.
// JetStream stands in for NATS Streaming, whose end of life was in 2023.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const usage = `usage: interop COMMAND
  service                                 answer queries until stdin ends; prints "ready"
  request [-tid ID] [-bytes] OP [JSON]    ask with data, print the data of the answer
  request -event [-tid ID] OP [JSON]      ask with a CloudEvent, print the bytes of the answer
  publish [-tid ID] [-bytes] TYPE [JSON]  publish an event, print where it is stored
  consume -count N STREAM SUBJECT         print so many events through a durable consumer
  golden DIR                              write messages as a service sends them
The environment is that of the old package: NATS_URL, NATS_QUEUE_GROUP, ...`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	transactionID := flags.String("tid", "", "transaction id")
	asBytes := flags.Bool("bytes", false, "set the data as a byte slice, which the SDK writes as data_base64")
	whole := flags.Bool("event", false, "ask with a whole CloudEvent")
	count := flags.Int("count", 1, "events to wait for")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	config, err := configFromEnvironment()
	if err != nil {
		return err
	}
	ctx := context.Background()
	name, data := flags.Arg(0), dataOf(flags.Arg(1), *asBytes)
	switch arguments[0] {
	case "service":
		return serve(config)
	case "request":
		if *whole {
			return requestCloudEvent(ctx, config, name, *transactionID, data)
		}
		return request(ctx, config, name, *transactionID, data)
	case "publish":
		return publish(ctx, config, name, *transactionID, data)
	case "consume":
		return consume(ctx, config, name, flags.Arg(1), *count)
	case "golden":
		return writeGolden(name)
	default:
		return errors.New(usage)
	}
}

// dataOf is what a caller of the old package would hand over: nothing, a value, or encoded bytes.
func dataOf(text string, asBytes bool) any {
	switch {
	case text == "":
		return nil
	case asBytes:
		return []byte(text)
	default:
		return json.RawMessage(text)
	}
}

// natsConfig is NatsConfig and StanConfig of the old package, less what only Streaming needs.
type natsConfig struct {
	url             string
	queueGroup      string
	wildcardSubject string
	clientID        string
	durableName     string
	maxReconnects   int
	reconnectWait   time.Duration
	requestTimeout  time.Duration
	eventsTimeout   time.Duration
}

// configFromEnvironment has the documented defaults; -1 stands for the default, too.
func configFromEnvironment() (natsConfig, error) {
	var mistakes []error
	text := func(name, otherwise string) string {
		if value := os.Getenv(name); value != "" {
			return value
		}
		return otherwise
	}
	number := func(name string, otherwise int) int {
		value, err := strconv.Atoi(text(name, "-1"))
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", name, err))
		}
		if value == -1 {
			return otherwise
		}
		return value
	}
	seconds := func(name string, otherwise int) time.Duration {
		return time.Duration(number(name, otherwise)) * time.Second
	}
	config := natsConfig{
		url:             text("NATS_URL", "nats://nats:4222"),
		queueGroup:      text("NATS_QUEUE_GROUP", ""),
		wildcardSubject: text("NATS_WILDCARD_SUBJECT", "cyverse.>"),
		clientID:        text("NATS_CLIENT_ID", ""),
		durableName:     text("NATS_DURABLE_NAME", ""),
		maxReconnects:   number("NATS_MAX_RECONNECTS", 6),
		reconnectWait:   seconds("NATS_RECONNECT_WAIT", 10),
		requestTimeout:  seconds("NATS_REQUEST_TIMEOUT", 5),
		eventsTimeout:   seconds("NATS_EVENTS_TIMEOUT", 10),
	}
	return config, errors.Join(mistakes...)
}

func connect(config natsConfig) (*nats.Conn, error) {
	return nats.Connect(
		config.url,
		nats.Name(config.clientID),
		nats.MaxReconnects(config.maxReconnects),
		nats.ReconnectWait(config.reconnectWait),
	)
}
