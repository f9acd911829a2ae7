package conche

import (
	"reflect"
	"slices"
	"strings"
	"sync"
)

// field of a struct, as encoding/json knows it.
type field struct {
	name     string
	typ      reflect.Type
	required bool
	optional bool // by its tag: null is as good as nothing
	quoted   bool // a string that holds the value
	tagged   bool
	index    []int // of the structs that it lies in, and its own
}

// knownFields are those of the structs met so far.
var knownFields sync.Map

// fieldsOf a struct in the order of their declaration. Structs embedded in it count as its own
// fields do, save that a name goes to one that lies less deep, then to one whose tag says it; where
// there are several of those, to none.
func fieldsOf(t reflect.Type) []field {
	if known, ok := knownFields.Load(t); ok {
		return known.([]field)
	}
	var known []field
	names, structs := map[string]bool{}, map[reflect.Type]bool{}
	for level := []field{{typ: t, required: true}}; len(level) > 0; {
		var found, deeper []field
		for _, one := range level {
			own, embedded := declaredIn(one)
			found, deeper = append(found, own...), append(deeper, embedded...)
		}
		for _, one := range found {
			if !names[one.name] && isAlone(one, found) {
				known = append(known, one)
			}
		}
		for _, one := range found {
			names[one.name] = true
		}
		for _, one := range level {
			structs[one.typ] = true
		}
		level = slices.DeleteFunc(deeper, func(one field) bool { return structs[one.typ] })
	}
	slices.SortFunc(known, func(a, b field) int { return slices.Compare(a.index, b.index) })
	knownFields.Store(t, known)
	return known
}

// declaredIn a struct are fields, and structs whose fields count as its own.
func declaredIn(outer field) (own, embedded []field) {
	for i := range outer.typ.NumField() {
		one := outer.typ.Field(i)
		inner, isPointer := one.Type, one.Type.Kind() == reflect.Pointer
		if isPointer {
			inner = inner.Elem()
		}
		embeds := one.Anonymous && inner.Kind() == reflect.Struct
		tag := one.Tag.Get("json")
		if tag == "-" || !one.IsExported() && !embeds {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		found := field{
			name:     name,
			typ:      one.Type,
			required: outer.required && !isPointer,
			quoted:   hasOption(options, "string"),
			tagged:   name != "",
			index:    append(slices.Clip(outer.index), i),
		}
		if embeds && name == "" {
			found.typ = inner
			embedded = append(embedded, found)
			continue
		}
		if name == "" {
			found.name = one.Name
		}
		if hasOption(options, "omitempty") || hasOption(options, "omitzero") {
			found.required, found.optional = false, true
		}
		own = append(own, found)
	}
	return own, embedded
}

func hasOption(options, name string) bool {
	return slices.Contains(strings.Split(options, ","), name)
}

// isAlone tells whether a field has its name to itself, of those that lie as deep.
func isAlone(one field, level []field) bool {
	for _, other := range level {
		isOther := !slices.Equal(other.index, one.index)
		if isOther && other.name == one.name && (other.tagged || !one.tagged) {
			return false
		}
	}
	return true
}

// find is where a field is, by the rules of encoding/json; -1 for none.
func find(known []field, name string) int {
	for i := range known {
		if known[i].name == name {
			return i
		}
	}
	for i := range known {
		if strings.EqualFold(known[i].name, name) {
			return i
		}
	}
	return -1
}
