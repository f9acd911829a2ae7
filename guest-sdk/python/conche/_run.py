"""One call: the message in, the handler, and what becomes of what it returned or raised. Must not
know how handlers are registered.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from . import _host, _wire, log
from ._errors import Fault, Reject, Retry, as_event_error, as_fault, reject, text_of
from ._message import SILENCE, CloudEvent, Json, Reply
from ._table import Handler, Registration, Role, Table

# So much of a traceback goes to the log: its end says most.
_STACK = 4000
# Where the author's files lie while the plugin is built.
_PROJECT = "/0/"
# What a handler that returns nothing answers.
_NULL = Json("null")


def registered(table: Table) -> None:
    """Tells the host what the table says. An error refuses the plugin."""
    try:
        host = _host.registration
        if table.reusable:
            host.reusable()
        for one in table.heard:
            match one.hears:
                case "query":
                    for op in one.names:
                        host.on_query(one.handler, op)
                case "any query":
                    host.on_any_query(one.handler)
                case "event":
                    if one.names:
                        host.on_event(one.handler, list(one.names))
                case "any event":
                    host.on_any_event(one.handler)
                case "listener":
                    host.on_listener(one.handler)
        if table.register is not None:
            table.register(Registration(host, table))
    except BaseException as error:
        if as_fault(error) is None and not isinstance(error, ValueError):
            _log("`register` failed", error)
        raise _host.results.Err(_wire.printable(text_of(error))) from None
    finally:
        _flush()


def query(table: Table, matched: Any, record: Any) -> Any:
    """Answers a reply, or None for no answer; raises Err of a fault."""
    try:
        handler = _find(table, "query", matched.handler)
        message = _wire.query(matched, record)
        answer = handler.function(**handler.arguments(message))
        if answer is SILENCE:
            return None
        if isinstance(answer, Reply):
            return _wire.reply(answer)
        return _wire.reply(Reply(_NULL if answer is None else answer))
    except BaseException as error:
        fault = as_fault(error) or Fault.internal(_failed(error))
        raise _host.results.Err(_wire.fault(fault)) from None
    finally:
        _flush()


def event(table: Table, matched: Any, record: Any) -> None:
    """Raises Err of what shall become of the event, if not all is well."""
    try:
        handler = _find(table, "event", matched.handler)
        message = _wire.event(matched, record)
        handler.function(**_fitting(handler, message))
    except BaseException as error:
        outcome = as_event_error(error) or Retry(_failed(error))
        raise _host.results.Err(_wire.event_error(outcome)) from None
    finally:
        _flush()


def _fitting(handler: Handler, message: CloudEvent) -> dict[str, Any]:
    """Data that cannot be read is rejected whatever the fault's code: it would be the same next
    time."""
    try:
        return handler.arguments(message)
    except Fault as fault:
        raise reject(fault) from None


def _find(table: Table, role: Role, name: str) -> Handler:
    handler = table.handlers.get((role, name))
    if handler is None:
        raise Fault.internal(f"the plugin has no handler `{name}`")
    return handler


def _failed(error: BaseException) -> str:
    _log("the handler failed", error)
    return f"the handler failed: {text_of(error)}"


def _log(message: str, error: BaseException) -> None:
    # Without the frame of this module, which every stack begins with.
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    stack = "".join(traceback.format_exception(type(error), error, frames))
    stack = stack.replace(f'"{_PROJECT}', '"')
    log.error(message, error=text_of(error), stack=stack[-_STACK:].strip())


def _flush() -> None:
    """What was printed belongs to this call; the instance may be gone before the next."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
