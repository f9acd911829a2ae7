package conche

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deeply data may be nested. encoding/json goes down by recursion, and allows more
// levels than a component has stack for: the call would end.
const maxDepth = 1000

// parse reads JSON into what a pointer points to. Numbers of any length keep their digits where the
// type lets them: in integers that are large enough, in json.Number, and in an any, which then holds
// a json.Number.
func parse(text string, into any) error {
	if isTooDeep(text) {
		return errors.New("it is nested too deep")
	}
	t := reflect.TypeOf(into).Elem()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return misread(err, text, t)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it is more than one JSON value")
	}
	if half := halfOfPair(text); half != "" {
		return fmt.Errorf("`%s` is half of a pair, and no character", half)
	}
	return checkShape(text, t, nil)
}

// write is a value as JSON, without the escapes that only HTML needs.
func write(value any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", errors.New(withoutPrefix(err))
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// isTooDeep looks at brackets alone: whether they match is not asked.
func isTooDeep(text string) bool {
	depth := 0
	for i := 0; i < len(text) && depth <= maxDepth; i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		}
	}
	return depth > maxDepth
}

// halfOfPair finds the escape of a surrogate without its other, for which encoding/json puts U+FFFD.
func halfOfPair(text string) string {
	for {
		at := strings.IndexByte(text, '\\')
		if at < 0 {
			return ""
		}
		text = text[at:]
		one := escaped(text)
		switch {
		case !utf16.IsSurrogate(one):
			text = text[2:]
		case utf16.DecodeRune(one, escaped(text[6:])) == utf8.RuneError:
			return text[:6]
		default:
			text = text[12:]
		}
	}
}

// escaped is the number that an escape at the start of a text gives, 0 without one.
func escaped(text string) rune {
	if len(text) < 6 || text[:2] != `\u` {
		return 0
	}
	number, _ := strconv.ParseUint(text[2:6], 16, 16) // it was read before
	return rune(number)
}

// misread says of what encoding/json refuses which field it is, and in the words of JSON.
func misread(err error, text string, t reflect.Type) error {
	var refused *json.UnmarshalTypeError
	switch {
	case errors.As(err, &refused):
		if err := checkShape(text, t, refused); err != nil {
			return err
		}
		return misfit(refused.Field, refused) // a map's key, or what a type refused that reads itself
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	}
	return errors.New(withoutPrefix(err))
}

func misfit(path string, refused *json.UnmarshalTypeError) error {
	if number, ok := strings.CutPrefix(refused.Value, "number "); ok {
		return fmt.Errorf("%s is %s, which is no %s", named(path), number, refused.Type)
	}
	return fmt.Errorf("%s is %s, not %s", named(path), article(refused.Value), wantedOf(refused.Type))
}

func withoutPrefix(err error) string {
	return strings.TrimPrefix(err.Error(), "json: ")
}

// named is a field, or the value as a whole.
func named(path string) string {
	if path == "" {
		return "it"
	}
	return "`" + path + "`"
}

func article(found string) string {
	switch found {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "a boolean"
	}
	return "a " + found
}

func wantedOf(t reflect.Type) string {
	if readsItself(t) {
		return t.String()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Pointer:
		return wantedOf(t.Elem())
	}
	if reflect.Int <= t.Kind() && t.Kind() <= reflect.Uint64 {
		return "an integer"
	}
	return t.String()
}

// writtenAttribute is the value of an extension, as the contract has it.
func writtenAttribute(value any) (any, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.Kind() == reflect.Bool:
		return v.Bool(), nil
	case v.Kind() == reflect.String:
		return clean(v.String()), nil
	case v.CanInt() && math.MinInt32 <= v.Int() && v.Int() <= math.MaxInt32:
		return int32(v.Int()), nil
	case v.CanUint() && v.Uint() <= math.MaxInt32:
		return int32(v.Uint()), nil
	case v.CanInt(), v.CanUint():
		return nil, errors.New("does not fit in 32 bits")
	}
	return nil, errors.New("is neither boolean, integer nor string")
}
