package conche

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// checkShape says what of a text does not fit a type though encoding/json reads it: it lets pass
// what is missing, nearly everywhere what is null, and arrays of another length. What it refused, if
// it did, is found here as well: it does not say at which index. The text is known to be JSON.
func checkShape(text string, t reflect.Type, refused *json.UnmarshalTypeError) error {
	c := shapeChecker{text, refused}
	return c.value(t, "")
}

// shapeChecker walks through a text along a type.
type shapeChecker struct {
	rest    string
	refused *json.UnmarshalTypeError
}

func (c *shapeChecker) value(t reflect.Type, path string) error {
	first := c.peek()
	for t.Kind() == reflect.Pointer && first != 'n' {
		t = t.Elem()
	}
	kind := t.Kind()
	switch {
	case c.isRefused(t):
		return misfit(path, c.refused)
	case first == 'n' && !hasNil(kind):
		return fmt.Errorf("%s is null, not %s", named(path), wantedOf(t))
	case readsItself(t):
	case first == '{' && kind == reflect.Struct:
		return c.fields(fieldsOf(t), path)
	case first == '{' && kind == reflect.Map:
		return c.entries(t.Elem(), path)
	case first == '[' && (kind == reflect.Slice || kind == reflect.Array):
		return c.elements(t, path)
	}
	c.skipValue()
	return nil
}

// isRefused tells whether what comes next is what encoding/json refused for this type.
func (c *shapeChecker) isRefused(t reflect.Type) bool {
	if c.refused == nil || t != c.refused.Type && reflect.PointerTo(t) != c.refused.Type {
		return false
	}
	found, number, _ := strings.Cut(c.refused.Value, " ")
	switch c.rest[0] {
	case '{':
		return found == "object"
	case '[':
		return found == "array"
	case '"':
		return found == "string"
	case 't', 'f':
		return found == "bool"
	case 'n':
		return false
	}
	return found == "number" && (number == "" || number == c.word())
}

func (c *shapeChecker) fields(known []field, path string) error {
	seen := make([]bool, len(known))
	for c.skip(1); c.peek() != '}'; c.skipComma() {
		place := find(known, c.name())
		if place < 0 {
			c.skipValue()
			continue
		}
		seen[place] = true
		field := known[place]
		if first := c.peek(); first == 'n' && field.optional || first == '"' && field.quoted {
			c.skipValue()
			continue
		}
		if err := c.value(field.typ, join(path, field.name)); err != nil {
			return err
		}
	}
	c.skip(1)
	for i, field := range known {
		if field.required && !seen[i] {
			return fmt.Errorf("%s is missing", named(join(path, field.name)))
		}
	}
	return nil
}

func (c *shapeChecker) entries(t reflect.Type, path string) error {
	for c.skip(1); c.peek() != '}'; c.skipComma() {
		if err := c.value(t, join(path, c.name())); err != nil {
			return err
		}
	}
	c.skip(1)
	return nil
}

func (c *shapeChecker) elements(t reflect.Type, path string) error {
	count := 0
	for c.skip(1); c.peek() != ']'; c.skipComma() {
		if err := c.value(t.Elem(), path+"["+strconv.Itoa(count)+"]"); err != nil {
			return err
		}
		count++
	}
	c.skip(1)
	if t.Kind() == reflect.Array && count != t.Len() {
		return fmt.Errorf("%s is a list of %d, not of %d", named(path), count, t.Len())
	}
	return nil
}

// peek passes over blanks.
func (c *shapeChecker) peek() byte {
	for {
		switch c.rest[0] {
		case ' ', '\t', '\r', '\n':
			c.skip(1)
		default:
			return c.rest[0]
		}
	}
}

func (c *shapeChecker) skip(count int) { c.rest = c.rest[count:] }

func (c *shapeChecker) skipComma() {
	if c.peek() == ',' {
		c.skip(1)
	}
}

// skipValue passes over one, however deeply things are nested in it.
func (c *shapeChecker) skipValue() {
	for depth := 0; ; {
		switch c.peek() {
		case '{', '[':
			depth++
			c.skip(1)
		case '}', ']':
			depth--
			c.skip(1)
		case ',', ':':
			c.skip(1)
			continue
		case '"':
			c.skipString()
		default:
			c.skipWord()
		}
		if depth == 0 {
			return
		}
	}
}

func (c *shapeChecker) skipString() {
	end := 1
	for c.rest[end] != '"' {
		if c.rest[end] == '\\' {
			end++
		}
		end++
	}
	c.skip(end + 1)
}

// skipWord passes over a number, true, false or null.
func (c *shapeChecker) skipWord() { c.skip(len(c.word())) }

func (c *shapeChecker) word() string {
	end := strings.IndexAny(c.rest, ",]} \t\r\n")
	if end < 0 {
		end = len(c.rest)
	}
	return c.rest[:end]
}

// name is that of the next field, whose value then comes next.
func (c *shapeChecker) name() string {
	c.peek()
	before := c.rest
	c.skipString()
	quoted := before[:len(before)-len(c.rest)]
	c.peek()
	c.skip(1) // the colon
	name := quoted[1 : len(quoted)-1]
	if strings.Contains(name, `\`) {
		_ = json.Unmarshal([]byte(quoted), &name) // it was read before
	}
	return name
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// readsItself tells whether what a type makes of JSON is its own affair.
func readsItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler)
}

func hasNil(kind reflect.Kind) bool {
	switch kind {
	case reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice:
		return true
	}
	return false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
