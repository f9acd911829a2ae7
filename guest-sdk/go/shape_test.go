package conche

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type item struct {
	SKU   string `json:"sku"`
	Count uint8  `json:"count,omitempty"`
	Price *int   `json:"price"`
}

type order struct {
	base
	Customer string         `json:"customer"`
	Items    []item         `json:"items"`
	Notes    map[string]int `json:"notes,omitempty"`
	Size     [2]int         `json:"size,omitzero"`
	Parent   *order         `json:"parent"`
	Raw      json.RawMessage
	hidden   string
}

type base struct {
	Made time.Time `json:"made,omitzero"`
	Tag  any       `json:"tag,omitempty"`
}

// Each text is read, or refused with these words.
func TestDataIsReadOrTheFieldIsNamed(t *testing.T) {
	check(t, `{"customer": "ada", "items": [{"sku": "tea", "unknown": [{}]}], "RAW": null}`, order{
		Customer: "ada", Items: []item{{SKU: "tea"}}, Raw: json.RawMessage("null"),
	})
	check(t, `{"customer": "", "items": [], "Raw": 1, "made": null, "tag": null, "notes": null, "size": null}`,
		order{Items: []item{}, Raw: json.RawMessage("1")})
	check(t, ` [ 1 , 2 ] `, []int{1, 2})
	check(t, ` [ 1 , 2 ] `, [2]int{1, 2})
	check(t, `12345678901234567890`, uint64(12345678901234567890))
	check[any](t, `12345678901234567890123`, json.Number("12345678901234567890123"))
	check[any](t, `null`, nil)
	check[*item](t, `null`, nil)
	check[[]item](t, `null`, nil)
	check(t, `{"a\"b": 1}`, map[string]int{`a"b`: 1})

	refuse[order](t, `{"items": [], "Raw": 1}`, "`customer` is missing")
	refuse[order](t, `{"customer": "", "items": [], "parent": {}, "Raw": 1}`, "`parent.customer` is missing")
	refuse[order](t, `{"customer": null, "items": [], "Raw": 1}`, "`customer` is null, not a string")
	refuse[order](t, `{"customer": "", "items": [{"sku": "a"}, null], "Raw": 1}`, "`items[1]` is null, not an object")
	refuse[order](t, `{"customer": "", "items": [{"sku": "a"}, {"count": 1}], "Raw": 1}`, "`items[1].sku` is missing")
	refuse[order](t, `{"customer": "", "items": [], "notes": {"a": null}, "Raw": 1}`, "`notes.a` is null, not an integer")
	refuse[order](t, `{"customer": "", "items": {}, "Raw": 1}`, "`items` is an object, not a list")
	refuse[order](t, `null`, "it is null, not an object")
	refuse[order](t, `[]`, "it is a list, not an object")
	refuse[order](t, `{"customer": "", "items": [{"sku": "a"}, {"sku": "b", "count": "c"}], "Raw": 1}`, "`items[1].count` is a string, not an integer")
	refuse[order](t, `{"customer": "", "items": [{"sku": "a", "count": 25}, {"sku": "b", "count": 256}], "Raw": 1}`, "`items[1].count` is 256, which is no uint8")
	refuse[order](t, `{"customer": "", "items": [], "notes": {"a": 1, "b": []}, "Raw": 1}`, "`notes.b` is a list, not an integer")
	refuse[order](t, `{"customer": "", "items": [], "size": [1], "Raw": 1}`, "`size` is a list of 1, not of 2")
	refuse[order](t, `{"customer": "", "items": [], "size": [1, 2, 3], "Raw": 1}`, "`size` is a list of 3, not of 2")
	refuse[map[string][]bool](t, `{"a": [true, {}]}`, "`a[1]` is an object, not a boolean")
	refuse[map[uint8]bool](t, `{"256": true}`, "it is 256, which is no uint8")
	refuse[struct {
		A int `json:",string"`
		B []int
	}](t, `{"A": "1", "B": [1, "2"]}`, "`B[1]` is a string, not an integer")
	refuse[time.Time](t, `null`, "it is null, not time.Time")
	refuse[[]time.Time](t, `[null]`, "`[0]` is null, not time.Time")
	refuse[string](t, `true`, "it is a boolean, not a string")
	refuse[bool](t, `"a"`, "it is a string, not a boolean")
	refuse[uint8](t, `256`, "it is 256, which is no uint8")
	refuse[int](t, `1.5`, "it is 1.5, which is no int")
	refuse[float64](t, `[]`, "it is a list, not a number")
	refuse[[]string](t, `["a", null]`, "`[1]` is null, not a string")
	refuse[int](t, `1 2`, "it is more than one JSON value")
	refuse[int](t, ``, "it ends too early")
	check(t, `["\ud83d\ude80", "\\ud83d", "\u00eb\\\uD83D\uDE80\n"]`, []string{"🚀", `\ud83d`, "ë\\🚀\n"})
	refuse[string](t, `"\ud800"`, "`\\ud800` is half of a pair, and no character")
	refuse[any](t, `{"\ud83d\ude80\uDE80": 1}`, "`\\uDE80` is half of a pair, and no character")
	refuse[string](t, `"\ud83d\\ude80"`, "`\\ud83d` is half of a pair, and no character")
	refuse[string](t, `"\ud83dude80"`, "`\\ud83d` is half of a pair, and no character")
	refuse[any](t, strings.Repeat("[", 1001), "it is nested too deep")
	refuse[any](t, strings.Repeat(`{"a":`, 1001), "it is nested too deep")
	check[any](t, `"`+strings.Repeat("[", 1001)+`\"["`, strings.Repeat("[", 1001)+`"[`)
}

type id struct {
	ID   string `json:"id"`
	Kind string
}

type labels struct {
	Label string
	Kind  string `json:"kind"`
}

type Code string

type node struct {
	*node
	Value int
}

// Of two fields with one name encoding/json knows one or none, and no other is asked for.
func TestFieldsOfEmbeddedStructsAreThoseOfEncodingJSON(t *testing.T) {
	type shadowing struct {
		id
		ID string `json:"id"`
	}
	check(t, `{"id": "a", "Kind": "b"}`, shadowing{id{Kind: "b"}, "a"})
	refuse[shadowing](t, `{"Kind": "b"}`, "`id` is missing")

	type twice struct {
		id
		other struct{ id }
		labels
		inner
	}
	check(t, `{"id": "a", "Kind": "b", "Label": "c", "kind": "d"}`,
		twice{id: id{"a", "b"}, labels: labels{Kind: "d"}})
	refuse[twice](t, `{"id": "a", "kind": "d"}`, "`Kind` is missing")

	type diamond struct {
		left
		right
	}
	check(t, `{}`, diamond{})

	type tagged struct {
		id
		renamed
	}
	check(t, `{"id": "a", "Kind": "b"}`, tagged{id{ID: "a"}, renamed{"b"}})

	code := Code("a")
	check(t, `{"Code": "a"}`, struct{ *Code }{&code})
	check(t, `{}`, struct{ *Code }{})
	refuse[struct{ Code }](t, `{}`, "`Code` is missing")
	refuse[node](t, `{}`, "`Value` is missing")
	check(t, `{"-": 1}`, struct {
		Dash int `json:"-,"`
		None int `json:"-"`
	}{Dash: 1})
}

type inner struct{ Label string }

type left struct{ id }

type right struct{ id }

type renamed struct {
	Name string `json:"Kind"`
}

func check[T any](t *testing.T, text string, expected T) {
	t.Helper()
	var found T
	if err := parse(text, &found); err != nil || !reflect.DeepEqual(found, expected) {
		t.Errorf("%s: %#v, %v", text, found, err)
	}
}

func refuse[T any](t *testing.T, text, expected string) {
	t.Helper()
	var found T
	if err := parse(text, &found); err == nil || err.Error() != expected {
		t.Errorf("%s: %v", text, err)
	}
}

// Whatever encoding/json reads, the checker comes to its end.
func FuzzTheCheckerReadsWhatIsJSON(f *testing.F) {
	for _, text := range []string{`{"customer":"\"","items":[{"sku":"\\"}]}`, ` {"a" : [ -1.5e3 ,{}, [ ] , true,null]} `, `"]"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, into := range []any{new(any), new(order), new([]order), new(map[string]order)} {
			_ = parse(text, into)
		}
	})
}
