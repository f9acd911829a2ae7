package conche

import "conche.dev/conche/internal/host"

// Config is a value in [config] of the plugin's policy, and whether it is there.
func Config(key string) (string, bool) { return host.Config(clean(key)) }

// ConfigKeys are the keys of all values in [config].
func ConfigKeys() []string { return host.ConfigKeys() }

// ParseConfig reads a value in [config] with a function such as strconv.Atoi or time.ParseDuration.
// Without the value it gives what it is given; what cannot be read is a [ConfigError]. Read the
// configuration in a [Register] hook too, and a bad one refuses the plugin instead of its calls.
func ParseConfig[T any](key string, parse func(string) (T, error), otherwise T) (T, error) {
	text, ok := Config(key)
	if !ok {
		return otherwise, nil
	}
	value, err := parse(text)
	if err != nil {
		return otherwise, &ConfigError{key, err}
	}
	return value, nil
}
