// Package plugin does what a plugin should not do, one handler each; and one behaves, to see that it
// still can.
package plugin

import "conche.dev/conche"

// Plugin is what the host loads.
var Plugin = conche.New(
	conche.Query(throw, "cyverse.hostile.Throw"),
	conche.Query(loop, "cyverse.hostile.Loop"),
	conche.Query(allocate, "cyverse.hostile.Allocate"),
	conche.Query(fine, "cyverse.hostile.Fine"),
	conche.Event(throwEvent, "org.cyverse.events.hostile.Throw"),
)

func throw(any) (any, error) { panic("thrown on purpose") }

func throwEvent(any) error { panic("thrown on purpose") }

func loop(any) (any, error) {
	for {
	}
}

func allocate(any) (any, error) {
	var hoard [][]byte
	for {
		hoard = append(hoard, make([]byte, 1<<20))
	}
}

func fine(any) (map[string]bool, error) {
	return map[string]bool{"ok": true}, nil
}
