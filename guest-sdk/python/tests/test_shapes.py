"""What annotations accept, and how what does not fit is named."""

from __future__ import annotations

import enum
import sys
import typing  # by name, in text
import unittest
from dataclasses import dataclass, field
from typing import Any, Literal, Mapping, Optional, Sequence, TypedDict

from conche import _json, _shapes


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    sku: str
    count: int = 1
    from_: str | None = field(default=None, metadata={"json": "from"})

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"{self.count} is no count")


@dataclass
class Order:
    customer: str
    items: list[Item]
    notes: Optional[dict[str, str]] = None
    parent: Optional[Order] = None


class Place(TypedDict):
    x: float


class Point(Place, total=False):
    label: str


class Shapes(unittest.TestCase):
    def check(self, shape: Any, text: str, expected: object) -> None:
        """`expected`: the value, or in a Misfit how it is refused."""
        read = _shapes.reader(shape)
        if isinstance(expected, _shapes.Misfit):
            with self.assertRaises(_shapes.Misfit) as caught:
                read(_json.read(text))
            self.assertEqual(str(caught.exception), expected.reason)
        else:
            found = read(_json.read(text))
            self.assertEqual(found, expected)
            self.assertIs(type(found), type(expected))

    def refused(self, shape: Any, text: str, reason: str) -> None:
        self.check(shape, text, _shapes.Misfit(reason))

    def test_plain_values(self) -> None:
        self.check(int, "12345678901234567890123", 12345678901234567890123)
        self.check(float, "2", 2.0)
        self.check(str, '"a"', "a")
        self.check(None, "null", None)
        self.check(Any, '{"a": [1]}', {"a": [1]})
        self.check(dict, '{"a": 1}', {"a": 1})
        self.refused(int, "1.5", "it is a number, not an integer")
        self.refused(int, "true", "it is a boolean, not an integer")
        self.refused(bool, "1", "it is an integer, not a boolean")
        self.refused(float, '"1"', "it is a string, not a number")
        self.refused(float, "1" + "0" * 400, "it is too large")
        self.refused(str, "null", "it is null, not a string")

    def test_collections(self) -> None:
        self.check(list[int], "[1, 2]", [1, 2])
        self.check(Sequence[int], "[1]", [1])
        self.check(tuple[int, ...], "[1, 2]", (1, 2))
        self.check(tuple[int, str], '[1, "a"]', (1, "a"))
        self.check(Mapping[str, int], '{"a": 1}', {"a": 1})
        self.refused(list[int], '[1, "two"]', "`[1]` is a string, not an integer")
        self.refused(list[int], "{}", "it is an object, not a list")
        self.refused(tuple[int, str], "[1]", "it is not a list of 2")
        self.refused(dict[str, int], '{"a": null}', "`a` is null, not an integer")

    def test_alternatives(self) -> None:
        self.check(Optional[int], "null", None)
        self.check(int | str, '"a"', "a")
        self.check(Literal["a", 1], "1", 1)
        self.check(Colour, '"red"', Colour.RED)
        self.refused(Optional[int], '"a"', "it is a string, not an integer")
        self.refused(int | str, "[]", "it is neither int nor str")
        self.refused(Literal["a", 1], "true", "it is not one of 'a', 1")
        self.refused(Colour, '"green"', "it is not one of 'red', 'blue'")

    def test_dataclasses(self) -> None:
        text = """{"customer": "ada", "items": [{"sku": "tea", "from": "here"}], "unknown": 1,
                  "parent": {"customer": "bob", "items": []}}"""
        items = [Item("tea", 1, "here")]
        self.check(Order, text, Order("ada", items, parent=Order("bob", [])))
        self.refused(Order, '{"items": []}', "`customer` is missing")
        self.refused(Order, "[]", "it is a list, not an object")
        nested = '{"customer": "", "items": [{"sku": "a"}, {"sku": "b", "count": "2"}]}'
        self.refused(Order, nested, "`items[1].count` is a string, not an integer")
        deep = '{"customer": "", "items": [], "parent": {"customer": "", "items": [{}]}}'
        self.refused(Order, deep, "`parent.items[0].sku` is missing")
        own = '{"customer": "", "items": [{"sku": "a", "count": -1}]}'
        self.refused(Order, own, "`items[0]` is not valid: -1 is no count")

    def test_typed_dicts(self) -> None:
        self.check(Point, '{"x": 1, "other": 2}', {"x": 1.0, "other": 2})
        self.refused(Point, "{}", "`x` is missing")
        self.refused(Point, '{"x": 1, "label": 2}', "`label` is an integer, not a string")

    @unittest.skipIf(sys.version_info < (3, 11), "Python has no such marks yet")
    def test_marked_keys(self) -> None:
        """As text, where Python itself does not see the marks."""
        marked = TypedDict("marked", {"x": "float", "label": "typing.NotRequired[str]"})
        self.check(marked, '{"x": 1}', {"x": 1.0})
        self.refused(marked, '{"x": 1, "label": 2}', "`label` is an integer, not a string")
        loose = TypedDict("loose", {"x": "typing.Required[float]", "label": "str"}, total=False)
        self.check(loose, '{"x": 1}', {"x": 1.0})
        self.refused(loose, "{}", "`x` is missing")

    def test_what_json_cannot_have(self) -> None:
        for shape in (set[int], bytes, complex, dict[int, str], list[set[int]]):
            with self.assertRaisesRegex(TypeError, "cannot be read from JSON"):
                _shapes.reader(shape)


class JsonText(unittest.TestCase):
    def test_is_strict(self) -> None:
        for text in ("NaN", "[Infinity]", "{", "", "[" * 200_000):
            with self.assertRaises(_json.NotJson):
                _json.read(text)
        for text in (r'"\ud800"', r'{"\uDC00": 1}', r'["\ud800\ud800"]'):
            with self.assertRaisesRegex(_json.NotJson, "half of a surrogate pair"):
                _json.read(text)
        self.assertEqual(_json.read(r'{"\uD83D\ude80": 1e400}'), {"🚀": float("inf")})
        self.assertEqual(_json.read(r'"\\ud800"'), r"\ud800")
        for value in (float("nan"), {1, 2}, "\ud800", object()):
            with self.assertRaises(_json.NotJson):
                _json.write(value)
        circle: list[Any] = []
        circle.append(circle)
        with self.assertRaises(_json.NotJson):
            _json.write(circle)

    def test_writes_what_handlers_have(self) -> None:
        order = Order("ädä", [Item("tea", 2, "here")])
        self.assertEqual(
            _json.write({"order": order, "colour": Colour.RED}),
            '{"order":{"customer":"ädä","items":[{"sku":"tea","count":2,"from":"here"}],'
            '"notes":null,"parent":null},"colour":"red"}',
        )
        self.assertEqual(_json.write(12345678901234567890123), "12345678901234567890123")
