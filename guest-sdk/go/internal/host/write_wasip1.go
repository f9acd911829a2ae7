package host

import "unsafe"

// What Go has, as the host reads it. Addresses are not seen by the collector: kept holds on to what
// they stand for, as long as the host may read.

type kept []unsafe.Pointer

func (k *kept) address(p unsafe.Pointer) uint32 {
	*k = append(*k, p)
	return uint32(uintptr(p))
}

func (k *kept) text(s string) span {
	return span{k.address(unsafe.Pointer(unsafe.StringData(s))), uint32(len(s))}
}

// some has no empty text: that is none.
func (k *kept) some(s string) option[span] {
	return option[span]{s != "", k.text(s)}
}

func list[T any](k *kept, items []T) span {
	return span{k.address(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

func (k *kept) texts(texts []string) span {
	spans := make([]span, len(texts))
	for i, text := range texts {
		spans[i] = k.text(text)
	}
	return list(k, spans)
}

func (k *kept) payload(data Payload) option[payload] {
	if data.Kind == NoData {
		return option[payload]{}
	}
	return option[payload]{true, payload{uint8(data.Kind - JSON), k.text(data.Text)}}
}

func (k *kept) extensions(extensions []Extension) span {
	written := make([]extension, len(extensions))
	for i, one := range extensions {
		to := &written[i]
		to.name = k.text(one.Name)
		room := unsafe.Pointer(&to.value.value)
		switch value := one.Value.(type) {
		case bool:
			to.value.kind = isBoolean
			*as[bool](room) = value
		case int32:
			to.value.kind = isInteger
			*as[int32](room) = value
		case string:
			to.value.kind = isText
			to.value.value = k.text(value)
		}
	}
	return list(k, written)
}

func (k *kept) draft(from *Draft) draft {
	return draft{
		typ:           k.text(from.Type),
		subject:       k.some(from.Subject),
		contentType:   k.some(from.ContentType),
		dataSchema:    k.some(from.DataSchema),
		transactionID: k.some(from.TransactionID),
		extensions:    k.extensions(from.Extensions),
		data:          k.payload(from.Data),
		key:           k.some(from.Key),
	}
}

func (k *kept) reply(from *Reply) reply {
	return reply{
		typ:         k.some(from.Type),
		subject:     k.some(from.Subject),
		contentType: k.some(from.ContentType),
		dataSchema:  k.some(from.DataSchema),
		extensions:  k.extensions(from.Extensions),
		data:        k.payload(from.Data),
	}
}

func (k *kept) fault(from *Fault) fault {
	return fault{from.Code, k.text(from.Message), k.payload(from.Details)}
}

// some milliseconds, unless they are negative.
func milliseconds(ms int64) option[uint32] {
	return option[uint32]{ms >= 0, uint32(max(ms, 0))}
}

func (k *kept) fate(to *fate, from *Fate) {
	if from.Reject != nil {
		to.kind, to.value = isReject, k.fault(from.Reject)
		return
	}
	to.kind = isRetry
	*as[retry](unsafe.Pointer(&to.value)) = retry{k.text(from.Retry.Message), milliseconds(from.Retry.AfterMS)}
}
