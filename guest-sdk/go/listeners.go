package conche

import (
	"time"

	"conche.dev/conche/internal/host"
)

// Listening is what to listen for. A match calls a handler that [Listener] has registered, on any
// instance of the plugin: hence a name and a state, no closure. It comes at most once and to this
// host only; an error that the handler returns is logged. It ends with the host, with its time, and
// with the version of the plugin, unless its policy says on-swap = "carry" in [listeners].
type Listening struct {
	// Handler is the name of the one that is called.
	Handler string
	// Types are those it hears. Without them it hears any type of a transaction, which then must be
	// named.
	Types         []string
	TransactionID string
	// Once: it is gone after its first match.
	Once bool
	// State comes back in the event.
	State string
	// Expires is when it is gone; 0 is the policy's longest.
	Expires time.Duration
}

// AddListener begins to listen, if the handler that calls it succeeds, before its emits are
// released. The result is the id to remove it by.
func AddListener(l Listening) (string, error) {
	id, failed := host.AddListener(&host.Listener{
		Handler:       clean(l.Handler),
		Types:         cleanAll(l.Types),
		TransactionID: clean(l.TransactionID),
		Once:          l.Once,
		State:         clean(l.State),
		ExpiresMS:     timeoutMS(l.Expires),
	})
	return id, sendError(failed)
}

// RemoveListener ends what AddListener began. One that is gone already, or another plugin's, is left
// alone.
func RemoveListener(id string) error { return sendError(host.RemoveListener(clean(id))) }
