package host

import "unsafe"

// What the host calls, one call at a time. It reads what a call returns before it makes the next:
// so long that is kept.
var returned struct {
	record unsafe.Pointer
	kept
}

//go:wasmexport conche:handler/lifecycle@0.1.0#register
func register() unsafe.Pointer {
	registered := new(result[span])
	if err := Served.Register(); err != nil {
		registered.failed, registered.value = true, returned.text(err.Error())
	}
	return giveBack(unsafe.Pointer(registered))
}

// HandleQuery is what query-handler exports. The export itself is not here: a component that
// handles no queries has none.
func HandleQuery(call unsafe.Pointer) unsafe.Pointer {
	matched, query := readCall(call)
	answer, failure := Served.Query(matched, query)
	forget()
	handled := new(result[option[reply]])
	switch {
	case failure != nil:
		handled.failed = true
		*as[fault](unsafe.Pointer(&handled.value)) = returned.fault(failure)
	case answer != nil:
		handled.value = option[reply]{true, returned.reply(answer)}
	}
	return giveBack(unsafe.Pointer(handled))
}

// HandleEvent is what event-handler exports.
func HandleEvent(call unsafe.Pointer) unsafe.Pointer {
	matched, event := readCall(call)
	failure := Served.Event(matched, event)
	forget()
	handled := new(result[fate])
	if failure != nil {
		handled.failed = true
		returned.fate(&handled.value, failure)
	}
	return giveBack(unsafe.Pointer(handled))
}

func readCall(call unsafe.Pointer) (Matched, Event) {
	beginReading()
	defer endReading()
	arguments := (*struct {
		matched matched
		event   event
	})(call)
	return arguments.matched.read(), arguments.event.read()
}

func forget() {
	clear(returned.kept)
	returned.kept = returned.kept[:0]
}

func giveBack(record unsafe.Pointer) unsafe.Pointer {
	returned.record = record
	return record
}
