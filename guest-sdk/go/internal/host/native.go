//go:build !wasip1

package host

// Host is what stands in for the functions of the contract where there are none: in tests.
type Host interface {
	OnQuery(handler, op string)
	OnAnyQuery(handler string)
	OnEvent(handler string, types []string)
	OnAnyEvent(handler string)
	OnListener(handler string)
	Reusable()
	Attempt() uint32
	IdempotencyKey() string
	RemainingMS() uint32
	Hops() uint32
	Config(key string) (string, bool)
	ConfigKeys() []string
	Log(level Level, message string, fields []Field)
	Emit(event *Draft) (string, *SendError)
	Request(query *Draft, timeoutMS int64) (Event, *SendError)
	RequestAll(queries []Draft, timeoutMS int64) []Answer
	Exchange(sent *Draft, answerTypes []string, timeoutMS int64) (Event, *SendError)
	AddListener(l *Listener) (string, *SendError)
	RemoveListener(id string) *SendError
}

// Double is there in tests.
var Double Host

func here() Host {
	if Double == nil {
		panic("this calls the host, and there is none: `conche test` runs plugins in one")
	}
	return Double
}

func OnQuery(handler, op string)                      { here().OnQuery(handler, op) }
func OnAnyQuery(handler string)                       { here().OnAnyQuery(handler) }
func OnEvent(handler string, types []string)          { here().OnEvent(handler, types) }
func OnAnyEvent(handler string)                       { here().OnAnyEvent(handler) }
func OnListener(handler string)                       { here().OnListener(handler) }
func Reusable()                                       { here().Reusable() }
func Attempt() uint32                                 { return here().Attempt() }
func IdempotencyKey() string                          { return here().IdempotencyKey() }
func RemainingMS() uint32                             { return here().RemainingMS() }
func Hops() uint32                                    { return here().Hops() }
func Config(key string) (string, bool)                { return here().Config(key) }
func ConfigKeys() []string                            { return here().ConfigKeys() }
func Log(level Level, message string, fields []Field) { here().Log(level, message, fields) }
func Emit(event *Draft) (string, *SendError)          { return here().Emit(event) }

func Request(query *Draft, timeoutMS int64) (Event, *SendError) {
	return here().Request(query, timeoutMS)
}

func RequestAll(queries []Draft, timeoutMS int64) []Answer {
	return here().RequestAll(queries, timeoutMS)
}

func Exchange(sent *Draft, answerTypes []string, timeoutMS int64) (Event, *SendError) {
	return here().Exchange(sent, answerTypes, timeoutMS)
}

func AddListener(l *Listener) (string, *SendError) { return here().AddListener(l) }
func RemoveListener(id string) *SendError          { return here().RemoveListener(id) }
