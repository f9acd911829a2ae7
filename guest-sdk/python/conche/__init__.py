"""Write plugins for the Conche host: functions with JSON in and out, and a decorator that says what
they hear.

    from conche import query

    @query("cyverse.greeter.Greet")
    def greet(ask: dict[str, str]) -> dict[str, str]:
        return {"greeting": f"Hello, {ask['name']}!"}

A **handler** takes the data, as its annotation says (plain values, a dataclass, `list[Item]`,
`Ask | None`, …; none: whatever JSON it is), or a whole `Query` or `Event`, or both. Data that does
not fit is answered with a fault 400, and an event rejected, before the handler is called.

A **query handler** returns what can be written as JSON, a `Reply` to set more than data, or
`SILENCE` for no answer. A **fault** is raised. An **event handler** returns nothing; it raises
`Retry` or `Reject` to say what shall become of the event. Any other exception is logged, and becomes
a fault 500 or a retry.
"""

from . import call, config, listeners, log
from ._errors import (
    Busy,
    ConfigError,
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
from ._message import SILENCE, CloudEvent, Draft, Event, Json, Payload, Query, Reply, Silence, Text
from ._send import emit, exchange, request, request_all
from ._table import Registration, any_event, any_query, event, listener, query, register, reusable

__all__ = [
    "SILENCE",
    "Busy",
    "CloudEvent",
    "ConfigError",
    "Draft",
    "Event",
    "Fault",
    "Invalid",
    "Json",
    "NoResponders",
    "OverBudget",
    "Payload",
    "Query",
    "Refused",
    "Registration",
    "Reject",
    "Remote",
    "Reply",
    "Retry",
    "SendError",
    "SendFailed",
    "Silence",
    "Text",
    "TimedOut",
    "any_event",
    "any_query",
    "call",
    "config",
    "emit",
    "event",
    "exchange",
    "listener",
    "listeners",
    "log",
    "query",
    "register",
    "request",
    "request_all",
    "reusable",
]
