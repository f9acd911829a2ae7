"""Messages to others: events kept back until the handler succeeds, questions asked now."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, TypedDict

from . import _host, _wire
from ._errors import SendError
from ._limits import milliseconds
from ._message import Attribute, CloudEvent, Draft

if TYPE_CHECKING:
    from typing import Unpack  # from Python 3.11 on; nobody asks for it at run time


class Attributes(TypedDict, total=False):
    """What a message can have beside type and data: see Draft."""

    subject: str | None
    datacontenttype: str | None
    dataschema: str | None
    transaction_id: str | None
    extensions: Mapping[str, Attribute]
    key: str | None


def emit(type: str, data: object = None, **attributes: Unpack[Attributes]) -> str:
    """Emits an event. It is kept back and released only if the handler succeeds; answers the id it
    will carry. Needs `emit` in the policy's `[grants]`, and "emit" in `uses` of conche-plugin.toml.

    Raises Refused, OverBudget or Invalid.
    """
    host = _host.optional("emit")
    draft = _wire.draft(Draft(type, data, **attributes))
    with sending():
        id: str = host.emit(draft)
    return id


def request(
    op: str,
    data: object = None,
    *,
    timeout: float | timedelta | None = None,
    **attributes: Unpack[Attributes],
) -> CloudEvent:
    """Asks a query now and waits for its answer. Needs `request` in the policy's `[grants]`, and
    "request" in `uses` of conche-plugin.toml. The time-out (seconds) is capped below
    `call.remaining()`; None: the host's.

    Raises every kind of SendError; a fault of the other side is Remote.
    """
    host = _host.optional("request")
    draft = _wire.draft(Draft(op, data, **attributes))
    with sending():
        answer = host.request(draft, milliseconds(timeout))
    return _wire.answer(answer)


def request_all(
    queries: Iterable[Draft], *, timeout: float | timedelta | None = None
) -> list[CloudEvent | SendError]:
    """Asks several queries at once; the answers stand in the order of the queries, errors among
    them. The time-out is that of the whole. Needs what `request` needs."""
    host = _host.optional("request")
    drafts = [_wire.draft(query) for query in queries]
    results = host.request_all(drafts, milliseconds(timeout))
    return [
        _wire.send_error(one.value)
        if isinstance(one, _host.results.Err)
        else _wire.answer(one.value)
        for one in results
    ]


def exchange(
    type: str,
    data: object = None,
    *,
    answers: Iterable[str],
    timeout: float | timedelta | None = None,
    **attributes: Unpack[Attributes],
) -> CloudEvent:
    """Publishes an event *now* (no later failure undoes it; a retry repeats its id), then waits for
    the first event of one of the types in `answers` with the same transaction id. Without one, among
    the attributes or in the call, it begins a transaction. Needs `exchange` in the policy's
    `[grants]`, for the type that is sent and for those that are waited for, and "exchange" in `uses`
    of conche-plugin.toml. Counts as a request, and waits as long as one.

    Do not wait so for what this plugin handles itself: its other events may come first, and take
    every slot while they wait for the same. `request` is made for that.

    Raises every kind of SendError; TimedOut when no such event came.
    """
    host = _host.optional("exchange")
    draft = _wire.draft(Draft(type, data, **attributes))
    types = _wire.texts("an answer's type", answers)
    with sending():
        answer = host.exchange(draft, types, milliseconds(timeout))
    return _wire.answer(answer)


@contextmanager
def sending() -> Iterator[None]:
    """What the host answers as an error, raised as one."""
    try:
        yield
    except _host.results.Err as error:
        raise _wire.send_error(error.value) from None
