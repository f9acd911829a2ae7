// Package conche is for plugins of the Conche host: functions with JSON in and out, and a line each
// that says what they hear.
//
//	// Plugin is what the host loads.
//	var Plugin = conche.New(
//		conche.Reusable(),
//		conche.Query(greet, "cyverse.greeter.Greet"),
//	)
//
//	func greet(ask Ask) (Greeting, error) {
//		return Greeting{"Hello, " + ask.Name + "!"}, nil
//	}
//
// A handler takes what the data are read into, or a [*CloudEvent], the whole message, or both as
// [With]. A field must be there, and not be null, unless its tag says omitempty or omitzero, or it
// is a pointer; what does not fit is answered with a fault 400, and an event rejected, before the
// handler is called.
//
// A handler of queries returns what is answered as JSON, or a [Reply] to set more than data. An
// error says what the answer is instead, or what shall become of an event: see [Fault], [Retry] and
// [Reject]. Any other error, and a panic, is logged and becomes a fault 500 or a retry.
//
// The log is that of log/slog: slog.Info("order created", "order", id).
package conche
