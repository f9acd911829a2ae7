"""A double of the modules that componentize-py generates: the same records, and functions that note
what they are told and answer what a test says. Must not know the package under test.
"""

import enum
import sys
import types as python
from dataclasses import dataclass, make_dataclass
from typing import Any, Mapping


@dataclass
class Ok:
    value: Any


@dataclass
class Err(Exception):
    value: Any


class Level(enum.Enum):
    TRACE, DEBUG, INFO, WARN, ERROR, CRITICAL = range(6)


class Host:
    """What the last test said, and what the host was told since `reset`."""

    def reset(self, **config: str) -> None:
        self.config = config
        self.attempt = 1
        self.registered: list[tuple[Any, ...]] = []
        self.emitted: list[Any] = []
        self.asked: list[Any] = []
        self.added: list[Any] = []
        self.removed: list[str] = []
        self.lines: list[tuple[str, str, dict[str, str]]] = []
        # What `emit`, `request`, `exchange` and `listeners` answer next, if not that all is well.
        self.error: Any = None
        self.answers: list[Any] = []

    def note(self, where: list[Any], what: Any, answer: Any) -> Any:
        if self.error is not None:
            raise Err(self.error)
        where.append(what)
        return answer


host = Host()
host.reset()


def _record(name: str, *fields: str) -> type:
    return make_dataclass(name, fields)


_ATTRIBUTES = ["subject", "datacontenttype", "dataschema"]
types = python.SimpleNamespace(
    Attribute_Boolean=_record("Attribute_Boolean", "value"),
    Attribute_Integer=_record("Attribute_Integer", "value"),
    Attribute_Text=_record("Attribute_Text", "value"),
    Extension=_record("Extension", "name", "value"),
    Payload_Json=_record("Payload_Json", "value"),
    Payload_Text=_record("Payload_Text", "value"),
    Payload_Binary=_record("Payload_Binary", "value"),
    Event=_record(
        *["Event", "id", "source", "type", "time", *_ATTRIBUTES],
        *["transaction_id", "extensions", "data"],
    ),
    Draft=_record("Draft", "type", *_ATTRIBUTES, "transaction_id", "extensions", "data", "key"),
    Reply=_record("Reply", "type", *_ATTRIBUTES, "extensions", "data"),
    Fault=_record("Fault", "code", "message", "details"),
    Retry=_record("Retry", "message", "after_ms"),
    EventError_Reject=_record("EventError_Reject", "value"),
    EventError_Retry=_record("EventError_Retry", "value"),
    Matched=_record("Matched", "handler", "listener", "state"),
    SendError_Refused=_record("SendError_Refused", "value"),
    SendError_OverBudget=_record("SendError_OverBudget", "value"),
    SendError_Invalid=_record("SendError_Invalid", "value"),
    SendError_NoResponders=_record("SendError_NoResponders"),
    SendError_TimedOut=_record("SendError_TimedOut"),
    SendError_Busy=_record("SendError_Busy"),
    SendError_Remote=_record("SendError_Remote", "value"),
    SendError_Other=_record("SendError_Other", "value"),
)


def event(type: str, data: Any = None, **attributes: Any) -> Any:
    """A message as the host hands it over. `data`: a payload record."""
    values = dict.fromkeys(["time", *_ATTRIBUTES, "transaction_id"])
    values |= {"id": "id-1", "source": "/test", "type": type, "extensions": [], "data": data}
    return types.Event(**(values | attributes))


def json(text: str) -> Any:
    return types.Payload_Json(text)


def matched(handler: str, listener: str | None = None, state: str | None = None) -> Any:
    return types.Matched(handler, listener, state)


def _log(level: Level, message: str, fields: list[Any]) -> None:
    host.lines.append((level.name, message, {one.key: one.value for one in fields}))


def _request(draft: Any, timeout_ms: int | None) -> Any:
    return host.note(host.asked, (draft, timeout_ms), host.answers and host.answers.pop(0))


def _exchange(draft: Any, answer_types: list[str], timeout_ms: int | None) -> Any:
    return host.note(
        host.asked, (draft, answer_types, timeout_ms), host.answers and host.answers.pop(0)
    )


_MODULES: dict[str, Mapping[str, Any]] = {
    "registration": {
        "on_query": lambda *told: host.registered.append(("query", *told)),
        "on_any_query": lambda *told: host.registered.append(("any query", *told)),
        "on_event": lambda *told: host.registered.append(("event", *told)),
        "on_any_event": lambda *told: host.registered.append(("any event", *told)),
        "on_listener": lambda *told: host.registered.append(("listener", *told)),
        "reusable": lambda: host.registered.append(("reusable",)),
    },
    "call": {
        "attempt": lambda: host.attempt,
        "idempotency_key": lambda: "key",
        "remaining_ms": lambda: 1500,
        "hops": lambda: 2,
    },
    "config": {"get": lambda key: host.config.get(key), "keys": lambda: list(host.config)},
    "log": {"Level": Level, "Field": _record("Field", "key", "value"), "log": _log},
    "emit": {"emit": lambda draft: host.note(host.emitted, draft, "id-emitted")},
    "request": {
        "request": _request,
        "request_all": lambda drafts, timeout_ms: host.note(
            host.asked, (drafts, timeout_ms), host.answers
        ),
    },
    "exchange": {"exchange": _exchange},
    "listeners": {
        "Listener": _record(
            "Listener", "handler", "types", "transaction_id", "once", "state", "expires_ms"
        ),
        "add": lambda listener: host.note(host.added, listener, "id-added"),
        "remove": lambda id: host.note(host.removed, id, None),
    },
    "types": vars(types),
}


def install() -> None:
    """Puts the doubles where `import` finds them."""

    def module(name: str, names: Mapping[str, Any]) -> None:
        made = python.ModuleType(name)
        vars(made).update(names)
        sys.modules[name] = made

    module("componentize_py_types", {"Ok": Ok, "Err": Err})
    module("wit_world", {})
    module("wit_world.imports", {})
    module("wit_world.exports", {"QueryHandler": object, "EventHandler": object})
    for name, names in _MODULES.items():
        module(f"wit_world.imports.{name}", names)
