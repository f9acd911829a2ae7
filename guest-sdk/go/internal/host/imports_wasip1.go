package host

import (
	"runtime"
	"unsafe"
)

// The functions of the host, each called where it is needed and nowhere else: the linker drops what
// a plugin does not call, and the component does not import it. What they are given the address of
// has escaped to the heap, which does not move, whatever becomes of the stack meanwhile.

//go:wasmimport conche:handler/registration@0.1.0 on-query
func OnQuery(handler, op string)

//go:wasmimport conche:handler/registration@0.1.0 on-any-query
func OnAnyQuery(handler string)

//go:wasmimport conche:handler/registration@0.1.0 on-event
func onEvent(handler string, types unsafe.Pointer, count uint32)

//go:wasmimport conche:handler/registration@0.1.0 on-any-event
func OnAnyEvent(handler string)

//go:wasmimport conche:handler/registration@0.1.0 on-listener
func OnListener(handler string)

//go:wasmimport conche:handler/registration@0.1.0 reusable
func Reusable()

//go:wasmimport conche:handler/call@0.1.0 attempt
func Attempt() uint32

//go:wasmimport conche:handler/call@0.1.0 idempotency-key
func idempotencyKey(key unsafe.Pointer)

//go:wasmimport conche:handler/call@0.1.0 remaining-ms
func RemainingMS() uint32

//go:wasmimport conche:handler/call@0.1.0 hops
func Hops() uint32

//go:wasmimport conche:handler/config@0.1.0 get
func config(key string, value unsafe.Pointer)

//go:wasmimport conche:handler/config@0.1.0 keys
func configKeys(keys unsafe.Pointer)

//go:wasmimport conche:handler/log@0.1.0 log
func log(level uint32, message string, fields unsafe.Pointer, count uint32)

//go:wasmimport conche:handler/emit@0.1.0 emit
func emit(draft, result unsafe.Pointer)

//go:wasmimport conche:handler/request@0.1.0 request
func request(arguments, result unsafe.Pointer)

//go:wasmimport conche:handler/request@0.1.0 request-all
func requestAll(drafts unsafe.Pointer, count uint32, hasTimeout bool, timeoutMS uint32, results unsafe.Pointer)

//go:wasmimport conche:handler/exchange@0.1.0 exchange
func exchange(arguments, result unsafe.Pointer)

//go:wasmimport conche:handler/listeners@0.1.0 add
func addListener(handler string, types unsafe.Pointer, typeCount uint32, hasTransaction bool, transactionID string,
	once bool, state string, expires bool, expiresMS uint32, result unsafe.Pointer)

//go:wasmimport conche:handler/listeners@0.1.0 remove
func removeListener(id string, result unsafe.Pointer)

func OnEvent(handler string, types []string) {
	var k kept
	list := k.texts(types)
	onEvent(handler, at(list.at), list.count)
	runtime.KeepAlive(k)
}

func IdempotencyKey() string {
	beginReading()
	defer endReading()
	key := new(span)
	idempotencyKey(unsafe.Pointer(key))
	return key.text()
}

func Config(key string) (string, bool) {
	beginReading()
	defer endReading()
	value := new(option[span])
	config(key, unsafe.Pointer(value))
	return orEmpty(*value), value.some
}

func ConfigKeys() []string {
	beginReading()
	defer endReading()
	keys := new(span)
	configKeys(unsafe.Pointer(keys))
	return texts(*keys)
}

func Log(level Level, message string, fields []Field) {
	var k kept
	written := make([]struct{ key, value span }, len(fields))
	for i, field := range fields {
		written[i].key, written[i].value = k.text(field.Key), k.text(field.Value)
	}
	log(uint32(level), message, unsafe.Pointer(unsafe.SliceData(written)), uint32(len(written)))
	runtime.KeepAlive(k)
}

func Emit(event *Draft) (string, *SendError) {
	beginReading()
	defer endReading()
	var k kept
	draft, sent := k.draft(event), new(result[sendError])
	emit(unsafe.Pointer(&draft), unsafe.Pointer(sent))
	runtime.KeepAlive(k)
	return readText(sent)
}

func Request(query *Draft, timeoutMS int64) (Event, *SendError) {
	beginReading()
	defer endReading()
	var k kept
	arguments := struct {
		query   draft
		timeout option[uint32]
	}{k.draft(query), milliseconds(timeoutMS)}
	answer := new(result[event])
	request(unsafe.Pointer(&arguments), unsafe.Pointer(answer))
	runtime.KeepAlive(k)
	return readEvent(answer)
}

func RequestAll(queries []Draft, timeoutMS int64) []Answer {
	beginReading()
	defer endReading()
	var k kept
	drafts := make([]draft, len(queries))
	for i := range queries {
		drafts[i] = k.draft(&queries[i])
	}
	timeout, answers := milliseconds(timeoutMS), new(span)
	requestAll(unsafe.Pointer(unsafe.SliceData(drafts)), uint32(len(drafts)), timeout.some, timeout.value,
		unsafe.Pointer(answers))
	runtime.KeepAlive(k)
	read := make([]Answer, answers.count)
	list := items[result[event]](*answers)
	for i := range list {
		read[i].Event, read[i].Err = readEvent(&list[i])
	}
	return read
}

func Exchange(sent *Draft, answerTypes []string, timeoutMS int64) (Event, *SendError) {
	beginReading()
	defer endReading()
	var k kept
	arguments := struct {
		event       draft
		answerTypes span
		timeout     option[uint32]
	}{k.draft(sent), k.texts(answerTypes), milliseconds(timeoutMS)}
	answer := new(result[event])
	exchange(unsafe.Pointer(&arguments), unsafe.Pointer(answer))
	runtime.KeepAlive(k)
	return readEvent(answer)
}

func AddListener(l *Listener) (string, *SendError) {
	beginReading()
	defer endReading()
	var k kept
	types, expires, added := k.texts(l.Types), milliseconds(l.ExpiresMS), new(result[sendError])
	addListener(l.Handler, at(types.at), types.count, l.TransactionID != "", l.TransactionID, l.Once, l.State,
		expires.some, expires.value, unsafe.Pointer(added))
	runtime.KeepAlive(k)
	return readText(added)
}

func RemoveListener(id string) *SendError {
	beginReading()
	defer endReading()
	removed := new(result[sendError])
	removeListener(id, unsafe.Pointer(removed))
	if removed.failed {
		return removed.value.read()
	}
	return nil
}
