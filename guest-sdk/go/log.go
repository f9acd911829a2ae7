package conche

import (
	"context"
	"log/slog"
	"slices"

	"conche.dev/conche/internal/host"
)

// The levels of the host's log that log/slog has no name for.
const (
	LevelTrace    = slog.LevelDebug - 4
	LevelCritical = slog.LevelError + 4
)

// logHandler hands over what log/slog, and through it log, is told. The host adds the plugin, its
// digest and the event's id, and says which levels are written. It is budgeted: what is over the
// budget is dropped and counted.
type logHandler struct {
	fields []host.Field
	group  string
}

func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h logHandler) Handle(_ context.Context, record slog.Record) error {
	fields := slices.Clip(h.fields)
	record.Attrs(func(attr slog.Attr) bool {
		fields = appendAttr(fields, h.group, attr)
		return true
	})
	host.Log(levelOf(record.Level), clean(record.Message), fields)
	return nil
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.fields = slices.Clip(h.fields)
	for _, attr := range attrs {
		h.fields = appendAttr(h.fields, h.group, attr)
	}
	return h
}

func (h logHandler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

// appendAttr flattens groups: their names stand before those of their fields.
func appendAttr(fields []host.Field, group string, attr slog.Attr) []host.Field {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			group += attr.Key + "."
		}
		for _, one := range value.Group() {
			fields = appendAttr(fields, group, one)
		}
		return fields
	}
	if attr.Equal(slog.Attr{}) {
		return fields
	}
	return append(fields, host.Field{Key: clean(group + attr.Key), Value: clean(value.String())})
}

func levelOf(level slog.Level) host.Level {
	switch {
	case level < slog.LevelDebug:
		return host.Trace
	case level < slog.LevelInfo:
		return host.Debug
	case level < slog.LevelWarn:
		return host.Info
	case level < slog.LevelError:
		return host.Warn
	case level < LevelCritical:
		return host.Error
	}
	return host.Critical
}
