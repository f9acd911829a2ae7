// Package queries makes a component export query-handler. What conche build generates imports it.
package queries

import (
	"unsafe"

	"conche.dev/conche/internal/host"
)

func init() { host.HandlesQueries = true }

//go:wasmexport conche:handler/query-handler@0.1.0#handle
func handle(call unsafe.Pointer) unsafe.Pointer { return host.HandleQuery(call) }
