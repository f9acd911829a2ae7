"""JSON text to values and back. Strict: no NaN, nothing that is not Unicode.

Numbers are Python's: an integer of any length keeps its digits, a fraction is a float.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from typing import Any, NoReturn

# Under this key, the metadata of a dataclass field holds the name that JSON has for it.
NAME = "json"


class NotJson(ValueError):
    """A text that is no JSON, or a value that JSON cannot express."""


def read(text: str) -> Any:
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # half of a pair cannot be encoded
        return value
    except RecursionError:
        raise NotJson("nested too deep") from None
    except UnicodeEncodeError:
        raise NotJson("a string in it holds half of a surrogate pair") from None
    except ValueError as error:
        raise NotJson(str(error)) from None


def write(value: object) -> str:
    try:
        text = _ENCODER.encode(value)
        if not text.isascii():
            text.encode()  # half of a surrogate pair cannot leave
    except RecursionError:
        raise NotJson("nested too deep") from None
    except UnicodeEncodeError:
        raise NotJson("a string in it is no Unicode: it holds half of a surrogate pair") from None
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from None
    return text


def name_of(field: dataclasses.Field[Any]) -> str:
    """A field's name in JSON."""
    name = field.metadata.get(NAME, field.name)
    return str(name)


def _plain(value: object) -> object:
    """What the encoder knows not: one level of it, in what it knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {name_of(field): getattr(value, field.name) for field in fields}
    if isinstance(value, enum.Enum):
        return value.value
    raise TypeError(f"a value of type {type(value).__name__} has no form in JSON")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(
    default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
