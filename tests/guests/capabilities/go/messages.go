package plugin

import "conche.dev/conche"

func echo(query *conche.CloudEvent) (conche.Reply, error) {
	reply := replyOf(query)
	reply.Type = queries + "Echoed"
	return reply, nil
}

// replyOf has all of a message but its type.
func replyOf(message *conche.CloudEvent) conche.Reply {
	return conche.Reply{
		Data:            message.Data,
		Subject:         message.Subject,
		DataContentType: message.DataContentType,
		DataSchema:      message.DataSchema,
		Extensions:      message.Extensions,
	}
}

func silence(any) (any, error) { return nil, conche.Silence }

func repeat(event *conche.CloudEvent) error {
	_, err := conche.Emit(conche.Draft{
		Type:            events + "Copied",
		Data:            event.Data,
		Subject:         event.Subject,
		DataContentType: event.DataContentType,
		DataSchema:      event.DataSchema,
		TransactionID:   "tid-of-the-copy",
		Extensions:      event.Extensions,
		Key:             "copy",
	})
	if err != nil {
		return err
	}
	_, err = conche.Emit(conche.Draft{Type: events + "Bare"})
	return err
}

func rest(query *conche.CloudEvent) (map[string]string, error) {
	return map[string]string{"rest": query.Type}, nil
}

func tellRest(event *conche.CloudEvent) error {
	return tell(map[string]string{"rest": event.Type})
}
