"""Between what handlers see and the records of the contract, which componentize-py generates. Must
not know what is done with them.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from . import _host
from ._errors import (
    Busy,
    Fault,
    Invalid,
    NoResponders,
    OverBudget,
    Refused,
    Reject,
    Remote,
    Retry,
    SendError,
    SendFailed,
    TimedOut,
)
from ._json import NotJson
from ._message import Attribute, CloudEvent, Draft, Event, Json, Payload, Query, Reply, Text, payload


def query(matched: Any, record: Any) -> Query:
    return Query(handler=matched.handler, **_attributes(record))


def event(matched: Any, record: Any) -> Event:
    return Event(
        handler=matched.handler,
        listener=matched.listener,
        state=matched.state,
        **_attributes(record),
    )


def answer(record: Any) -> CloudEvent:
    return CloudEvent(**_attributes(record))


def _attributes(record: Any) -> dict[str, Any]:
    return {
        "id": record.id,
        "source": record.source,
        "type": record.type,
        "time": record.time,
        "subject": record.subject,
        "datacontenttype": record.datacontenttype,
        "dataschema": record.dataschema,
        "transaction_id": record.transaction_id,
        "extensions": {one.name: one.value.value for one in record.extensions},
        "data": _received(record.data),
    }


def _received(record: Any) -> Payload | None:
    match type(record).__name__:
        case "NoneType":
            return None
        case "Payload_Json":
            return Json(record.value)
        case "Payload_Text":
            return Text(record.value)
    return bytes(record.value)


def draft(value: Draft) -> Any:
    """Raises Invalid for what cannot be sent."""
    try:
        return _host.types.Draft(
            type=text("type", value.type),
            transaction_id=text_if_any("transaction_id", value.transaction_id),
            data=_sent(value.data),
            key=text_if_any("key", value.key),
            **_described(value),
        )
    except NotJson as error:
        raise Invalid(str(error)) from None


def reply(value: Reply) -> Any:
    """Raises a fault 500 for what JSON cannot express, Invalid for what else cannot be sent."""
    try:
        data = _sent(value.data)
    except NotJson as error:
        raise Fault.internal(f"the answer is no JSON: {error}") from None
    return _host.types.Reply(type=text_if_any("type", value.type), data=data, **_described(value))


def _described(value: Draft | Reply) -> dict[str, Any]:
    """What both have beside their type and data."""
    return {
        "subject": text_if_any("subject", value.subject),
        "datacontenttype": text_if_any("datacontenttype", value.datacontenttype),
        "dataschema": text_if_any("dataschema", value.dataschema),
        "extensions": _extensions(value.extensions),
    }


def fault(value: Fault) -> Any:
    """Details that cannot be sent are left out: a fault must not fail."""
    try:
        details = _sent(value.details)
    except (NotJson, Invalid):
        details = None
    return _host.types.Fault(code=value.code, message=printable(value.message), details=details)


def event_error(value: Reject | Retry) -> Any:
    if isinstance(value, Reject):
        return _host.types.EventError_Reject(fault(value))
    retry = _host.types.Retry(message=printable(value.message), after_ms=value.after_ms)
    return _host.types.EventError_Retry(retry)


def send_error(record: Any) -> SendError:
    match type(record).__name__:
        case "SendError_Refused":
            return Refused(record.value)
        case "SendError_OverBudget":
            return OverBudget(record.value)
        case "SendError_Invalid":
            return Invalid(record.value)
        case "SendError_NoResponders":
            return NoResponders()
        case "SendError_TimedOut":
            return TimedOut()
        case "SendError_Busy":
            return Busy()
        case "SendError_Remote":
            return Remote(_fault(record.value))
    return SendFailed(record.value)


def _fault(record: Any) -> Fault:
    return Fault(record.code, record.message, _received(record.details))


def _sent(value: object) -> Any:
    if value is None:
        return None
    data = payload(value)
    match data:
        case Json():
            return _host.types.Payload_Json(text("the data", str(data)))
        case Text():
            return _host.types.Payload_Text(text("the data", str(data)))
    return _host.types.Payload_Binary(data)


def _extensions(values: Mapping[str, Attribute]) -> list[Any]:
    return [
        _host.types.Extension(text("the name of an extension", name), _attribute(name, one))
        for name, one in values.items()
    ]


def _attribute(name: str, value: Attribute) -> Any:
    match value:
        case bool():
            return _host.types.Attribute_Boolean(value)
        case int():
            if not -(2**31) <= value < 2**31:
                raise Invalid(f"extension `{name}` does not fit in 32 bits")
            return _host.types.Attribute_Integer(value)
        case str():
            return _host.types.Attribute_Text(text(f"extension `{name}`", value))
    raise Invalid(f"extension `{name}` is neither boolean, integer nor string")


def text(what: str, value: object) -> str:
    """A text that the contract can carry; at any other the bindings would end the call, and no
    handler could catch it. Raises Invalid."""
    if not isinstance(value, str):
        raise Invalid(f"{what} is of type {type(value).__name__}, and no string")
    if printable(value) != value:
        raise Invalid(f"{what} is no Unicode: it holds half of a surrogate pair")
    return value


def text_if_any(what: str, value: object) -> str | None:
    return None if value is None else text(what, value)


def texts(what: str, values: Iterable[str]) -> list[str]:
    """One alone stands for a list of it."""
    return [text(what, one) for one in ([values] if isinstance(values, str) else values)]


def printable(text: str) -> str:
    """Half of a surrogate pair cannot leave, and an error must not fail on its way out."""
    return text.encode(errors="replace").decode()
