package conche

import (
	"time"

	"conche.dev/conche/internal/host"
)

// Attempt is 1 at the first delivery of an event, more when it comes again; always 1 for a query.
func Attempt() int { return int(host.Attempt()) }

// IdempotencyKey is equal at every delivery of this event to this handler: for effects outside
// Conche.
func IdempotencyKey() string { return host.IdempotencyKey() }

// Remaining is what is left of this call's time, waiting included.
func Remaining() time.Duration { return time.Duration(host.RemainingMS()) * time.Millisecond }

// Hops is how many requests lie between whoever began this and this call.
func Hops() int { return int(host.Hops()) }
