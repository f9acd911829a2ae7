"""The messages a plugin sees and sends: events as they came, drafts and replies as they go out.
Pure data; must not know the host's functions.
"""

from __future__ import annotations

import enum
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Final, Mapping, TypeVar, Union, overload

from . import _json, _shapes
from ._errors import Fault

T = TypeVar("T")
Class = type[T]  # messages have a `type` of their own

Attribute = Union[bool, int, str]
"""What an extension attribute can hold; integers have 32 bits. A round trip changes no kind."""


class Json(str):
    """The exact text of one JSON value: digits and key order untouched."""


class Text(str):
    """Characters of a media type that is not JSON."""


Payload = Union[Json, Text, bytes]
"""The data of a message as it travels."""


@dataclass(frozen=True, kw_only=True)
class CloudEvent:
    """A CloudEvent as it was received: a query, an event, or the answer to a request."""

    id: str
    source: str
    """A URI reference: who made it."""
    type: str
    """The query's op or the event's type."""
    time: str | None = None
    """The RFC 3339 text as it came."""
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    transaction_id: str | None = None
    """Ties this message, its answers and its follow-up events together."""
    extensions: Mapping[str, Attribute] = field(default_factory=dict)
    data: Payload | None = None
    """As it came: `Json`, `Text` or bytes. None when there is none, or when it travels by reference
    (the extension `dataref`)."""

    def json(self) -> Any:
        """The data as Python has it; no data reads as None. Raises a fault 400 if it is no JSON."""
        match self.data:
            case None:
                return None
            case Json():
                try:
                    return _json.read(self.data)
                except _json.NotJson as error:
                    raise Fault.bad_request(f"invalid data: {error}") from None
            case Text():
                raise Fault.bad_request("the data is text, not JSON")
        raise Fault.bad_request("the data is binary, not JSON")

    @overload
    def parse(self, shape: Class[T]) -> T: ...
    @overload
    def parse(self, shape: Any) -> Any: ...
    def parse(self, shape: Any) -> Any:
        """The data as a dataclass, `list[int]`, `Ask | None`, … Raises a fault 400 that names the
        field that does not fit."""
        return read(self, _shapes.reader(shape))


@dataclass(frozen=True, kw_only=True)
class Query(CloudEvent):
    """A whole query, for a handler that wants more than its data."""

    handler: str
    """The name of the handler whose registration matched."""


@dataclass(frozen=True, kw_only=True)
class Event(CloudEvent):
    """A whole event, for a handler that wants more than its data."""

    handler: str
    """The name of the handler whose registration matched."""
    listener: str | None = None
    """The id that `listeners.add` answered, if one of them matched."""
    state: str | None = None
    """The state given there."""


@dataclass
class Draft:
    """A message to send, by `emit`, `request` or `exchange`. The host adds id, source and time."""

    type: str
    """The event's type or the query's op."""
    data: object = None
    """`Json`, `Text` and bytes go as they are, anything else is written as JSON. None: no data
    (`Json("null")` is a null)."""
    _: KW_ONLY
    subject: str | None = None
    datacontenttype: str | None = None
    """None: that of the data's kind."""
    dataschema: str | None = None
    transaction_id: str | None = None
    """None: that of the call in progress."""
    extensions: Mapping[str, Attribute] = field(default_factory=dict)
    key: str | None = None
    """Names this message within the call: when the call is tried again, the message with the same
    key goes out under the same id, whatever it then holds. Without a key the id comes from the
    message itself and from how many equal ones were sent before it."""


@dataclass
class Reply:
    """The answer to a query. A handler that needs no more than data returns that instead."""

    data: object = None
    """As in a draft."""
    _: KW_ONLY
    type: str | None = None
    """None: the query's type."""
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, Attribute] = field(default_factory=dict)


class Silence(enum.Enum):
    """The type of `SILENCE`."""

    SILENCE = "silence"


SILENCE: Final = Silence.SILENCE
"""What a query handler returns to give no answer: the asker times out, as if nobody had heard."""


def read(message: CloudEvent, reader: _shapes.Reader) -> Any:
    """The data as the reader makes it, or a fault 400."""
    value = message.json()
    try:
        return reader(value)
    except _shapes.Misfit as misfit:
        what = "no data" if message.data is None else "invalid data"
        raise Fault.bad_request(f"{what}: {misfit}") from misfit.__cause__
    except RecursionError:
        raise Fault.bad_request("invalid data: nested too deep") from None


def payload(value: object) -> Payload:
    """A value as it travels. Raises NotJson."""
    if isinstance(value, (Json, Text, bytes)):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return Json(_json.write(value))
