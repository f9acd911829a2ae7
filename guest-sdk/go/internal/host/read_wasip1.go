package host

import "unsafe"

// What the host wrote, as Go has it. Nothing is copied: a text is the memory it was written to.

func (s span) text() string {
	return unsafe.String((*byte)(at(s.at)), s.count)
}

func texts(list span) []string {
	spans := items[span](list)
	texts := make([]string, len(spans))
	for i, span := range spans {
		texts[i] = span.text()
	}
	return texts
}

func items[T any](list span) []T {
	return unsafe.Slice((*T)(at(list.at)), list.count)
}

func orEmpty(o option[span]) string {
	if !o.some {
		return ""
	}
	return o.value.text()
}

func readPayload(o *option[payload]) Payload {
	if !o.some {
		return Payload{}
	}
	return Payload{Kind: PayloadKind(o.value.kind) + JSON, Text: o.value.data.text()}
}

func readExtensions(list span) []Extension {
	read := make([]Extension, list.count)
	for i, one := range items[extension](list) {
		room := unsafe.Pointer(&one.value.value)
		read[i].Name = one.name.text()
		switch one.value.kind {
		case isBoolean:
			read[i].Value = *as[bool](room)
		case isInteger:
			read[i].Value = *as[int32](room)
		default:
			read[i].Value = one.value.value.text()
		}
	}
	return read
}

func (e *event) read() Event {
	return Event{
		ID:            e.id.text(),
		Source:        e.source.text(),
		Type:          e.typ.text(),
		Time:          orEmpty(e.time),
		Subject:       orEmpty(e.subject),
		ContentType:   orEmpty(e.contentType),
		DataSchema:    orEmpty(e.dataSchema),
		TransactionID: orEmpty(e.transactionID),
		Extensions:    readExtensions(e.extensions),
		Data:          readPayload(&e.data),
	}
}

func (m *matched) read() Matched {
	return Matched{m.handler.text(), orEmpty(m.listener), orEmpty(m.state)}
}

func (e *sendError) read() *SendError {
	read := SendError{Kind: SendErrorKind(e.kind)}
	switch read.Kind {
	case NoResponders, TimedOut, Busy:
	case Remote:
		read.Fault = Fault{e.value.code, e.value.message.text(), readPayload(&e.value.details)}
	default:
		read.Text = as[span](unsafe.Pointer(&e.value)).text()
	}
	return &read
}

func readText(r *result[sendError]) (string, *SendError) {
	if r.failed {
		return "", r.value.read()
	}
	return as[span](unsafe.Pointer(&r.value)).text(), nil
}

func readEvent(r *result[event]) (Event, *SendError) {
	if r.failed {
		return Event{}, as[sendError](unsafe.Pointer(&r.value)).read()
	}
	return r.value.read(), nil
}
