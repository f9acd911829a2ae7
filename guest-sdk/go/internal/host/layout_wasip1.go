package host

import "unsafe"

// The records of the contract as the canonical ABI lays them out in memory, which for these is how
// Go lays out structs: only that an address has 32 bits.

type span struct{ at, count uint32 }

type option[T any] struct {
	some  bool
	value T
}

type attribute struct {
	kind  uint8
	value span // or what begins with it: a boolean, an integer
}

const (
	isBoolean = iota
	isInteger
	isText
)

type extension struct {
	name  span
	value attribute
}

type payload struct {
	kind uint8 // one less than ours, which has none for "no data"
	data span
}

type event struct {
	id, source, typ                                       span
	time, subject, contentType, dataSchema, transactionID option[span]
	extensions                                            span
	data                                                  option[payload]
}

type draft struct {
	typ                                             span
	subject, contentType, dataSchema, transactionID option[span]
	extensions                                      span
	data                                            option[payload]
	key                                             option[span]
}

type reply struct {
	typ, subject, contentType, dataSchema option[span]
	extensions                            span
	data                                  option[payload]
}

type fault struct {
	code    uint16
	message span
	details option[payload]
}

type retry struct {
	message span
	afterMS option[uint32]
}

// fate and sendError are variants: a case, and room for the largest of their payloads. They must not
// be copied: of what lies in a gap of that largest one, a copy has nothing.
type fate struct {
	kind  uint8
	value fault // or a retry
}

const (
	isReject = iota
	isRetry
)

type sendError struct {
	kind  uint8
	value fault // or a span
}

type matched struct {
	handler         span
	listener, state option[span]
}

// result is an error if it failed. T is the larger of what it can hold.
type result[T any] struct {
	failed bool
	value  T
}

// as is what lies where a variant or a result has its payload.
func as[T any](room unsafe.Pointer) *T {
	return (*T)(room)
}
