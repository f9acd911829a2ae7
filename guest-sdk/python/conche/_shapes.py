"""From parsed JSON to what a handler's annotation asks for: dataclasses, lists, unions and so on.
What does not fit names the field. Annotations are read once, when the plugin is built.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import types
import typing
from typing import Any, Callable, Literal, Union

from ._json import name_of

Reader = Callable[[Any], Any]


class Misfit(Exception):
    """A value that is not of the shape asked for."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason, path)
        self.reason = reason
        self.path = path

    def inside(self, step: str) -> Misfit:
        """The same, seen from one level up."""
        joint = "" if not self.path or self.path.startswith("[") else "."
        return Misfit(self.reason, step + joint + self.path)

    def __str__(self) -> str:
        return f"`{self.path}` {self.reason}" if self.path else f"it {self.reason}"


def reader(shape: Any) -> Reader:
    """What reads values of this shape. Raises TypeError for a shape that JSON cannot have."""
    try:
        known = _KNOWN.get(shape)
    except TypeError:
        known = None  # not hashable, so not known
    return known or _make(shape)


def _make(shape: Any) -> Reader:
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if origin is typing.Annotated:
        return reader(arguments[0])
    if origin is Literal:
        return _one_of(arguments, ", ".join(repr(one) for one in arguments))
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if shape in (list, collections.abc.Sequence) or origin in (list, collections.abc.Sequence):
        return _list(reader(arguments[0] if arguments else Any))
    if shape is tuple or origin is tuple:
        return _tuple(arguments)
    if shape in (dict, collections.abc.Mapping) or origin in (dict, collections.abc.Mapping):
        return _dict(shape, arguments)
    if typing.is_typeddict(shape):
        return _typed_dict(shape)
    if isinstance(shape, type) and dataclasses.is_dataclass(shape):
        return _dataclass(shape)
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        return _enum(shape)
    if isinstance(shape, typing.NewType):
        return reader(shape.__supertype__)
    raise TypeError(f"`{_name(shape)}` cannot be read from JSON")


def _any(value: Any) -> Any:
    return value


def _exactly(kind: type, wanted: str) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise Misfit(f"is {_kind(value)}, not {wanted}")
        return value

    return read


def _float(value: Any) -> float:
    if type(value) is int or type(value) is float:
        try:
            return float(value)
        except OverflowError:
            raise Misfit("is too large") from None
    raise Misfit(f"is {_kind(value)}, not a number")


def _one_of(values: tuple[Any, ...], wanted: str) -> Reader:
    def read(value: Any) -> Any:
        # By type as well: 1, 1.0 and True are equal.
        if any(type(value) is type(one) and value == one for one in values):
            return value
        raise Misfit(f"is not one of {wanted}")

    return read


def _enum(shape: type[enum.Enum]) -> Reader:
    by_value = _one_of(
        tuple(one.value for one in shape), ", ".join(repr(one.value) for one in shape)
    )
    return lambda value: shape(by_value(value))


def _union(alternatives: tuple[Any, ...]) -> Reader:
    optional = types.NoneType in alternatives
    others = [one for one in alternatives if one is not types.NoneType]
    readers = [reader(one) for one in others]
    names = " nor ".join(_name(one) for one in others)

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        if len(readers) == 1:
            return readers[0](value)
        for one in readers:
            try:
                return one(value)
            except Misfit:
                pass
        raise Misfit(f"is neither {names}")

    return read


def _list(item: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Misfit(f"is {_kind(value)}, not a list")
        return [_at(item, f"[{index}]", one) for index, one in enumerate(value)]

    return read


def _tuple(items: tuple[Any, ...]) -> Reader:
    if not items or (len(items) == 2 and items[1] is Ellipsis):
        any_length = _list(reader(items[0] if items else Any))
        return lambda value: tuple(any_length(value))
    readers = [reader(item) for item in items]

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(readers):
            raise Misfit(f"is not a list of {len(readers)}")
        pairs = enumerate(zip(readers, value))
        return tuple(_at(item, f"[{index}]", one) for index, (item, one) in pairs)

    return read


def _dict(shape: Any, arguments: tuple[Any, ...]) -> Reader:
    key, item = arguments or (str, Any)
    if key not in (str, Any):
        raise TypeError(f"`{_name(shape)}` cannot be read from JSON: its keys are strings")
    read_item = reader(item)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Misfit(f"is {_kind(value)}, not an object")
        return {name: _at(read_item, name, one) for name, one in value.items()}

    return read


# Whether a marked key must be there. The marks are newer than Python 3.10.
_MARKS: dict[Any, bool] = {
    getattr(typing, mark): needed
    for mark, needed in (("Required", True), ("NotRequired", False))
    if hasattr(typing, mark)
}


def _typed_dict(shape: Any) -> Reader:
    # Known before its fields are looked at: they may be of this very shape.
    readers: dict[str, Reader] = {}
    required: set[str] = set(shape.__required_keys__)

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Misfit(f"is {_kind(value)}, not an object")
        for name in required:
            if name not in value:
                raise Misfit("is missing", name)
        return {
            name: _at(readers[name], name, one) if name in readers else one
            for name, one in value.items()
        }

    _KNOWN[shape] = read
    for name, annotation in typing.get_type_hints(shape, include_extras=True).items():
        # Where annotations are strings, Python itself does not see these marks.
        while (mark := typing.get_origin(annotation)) in _MARKS:
            (required.add if _MARKS[mark] else required.discard)(name)
            annotation = typing.get_args(annotation)[0]
        readers[name] = reader(annotation)
    return read


def _dataclass(shape: type[Any]) -> Reader:
    # Attribute, name in JSON, reader, whether it must be there.
    fields: list[tuple[str, str, Reader, bool]] = []

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise Misfit(f"is {_kind(value)}, not an object")
        found = {}
        for attribute, name, read_field, needed in fields:
            if name in value:
                found[attribute] = _at(read_field, name, value[name])
            elif needed:
                raise Misfit("is missing", name)
        try:
            return shape(**found)
        except ValueError as error:  # its own check, in `__post_init__`
            raise Misfit(f"is not valid: {error}") from error

    _KNOWN[shape] = read
    hints = typing.get_type_hints(shape)
    for field in dataclasses.fields(shape):
        if field.init:
            no_default = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            fields.append((field.name, name_of(field), reader(hints[field.name]), no_default))
    return read


def _at(read: Reader, step: str, value: Any) -> Any:
    try:
        return read(value)
    except Misfit as misfit:
        raise misfit.inside(step) from misfit.__cause__


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"


def _name(shape: Any) -> str:
    return shape.__name__ if isinstance(shape, type) else str(shape)


_KNOWN: dict[Any, Reader] = {
    Any: _any,
    object: _any,
    None: _exactly(types.NoneType, "null"),
    types.NoneType: _exactly(types.NoneType, "null"),
    bool: _exactly(bool, "a boolean"),
    int: _exactly(int, "an integer"),
    float: _float,
    str: _exactly(str, "a string"),
}
