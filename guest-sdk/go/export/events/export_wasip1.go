// Package events makes a component export event-handler. What conche build generates imports it.
package events

import (
	"unsafe"

	"conche.dev/conche/internal/host"
)

func init() { host.HandlesEvents = true }

//go:wasmexport conche:handler/event-handler@0.1.0#handle
func handle(call unsafe.Pointer) unsafe.Pointer { return host.HandleEvent(call) }
