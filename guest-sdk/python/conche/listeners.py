"""Listeners that a handler adds while it runs. Changes are effects: done if the handler succeeds,
before its emits are released. Needs `listen` in the policy's `[grants]`, and "listeners" in `uses`
of conche-plugin.toml.

A match calls the named handler on any instance of the plugin: hence a name and a state, no closure.
It comes at most once and to this host only; an error it raises is logged. Listeners end with the
host, with their time, and with the version of the plugin, unless its policy says
`on-swap = "carry"` in `[listeners]`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Callable, Iterable

from . import _host, _wire
from ._limits import milliseconds
from ._send import sending
from ._table import name_of


def add(
    handler: Callable[..., Any] | str,
    *,
    types: Iterable[str] = (),
    transaction_id: str | None = None,
    once: bool = False,
    state: str = "",
    expires: float | timedelta | None = None,
) -> str:
    """Adds a listener; answers the id to remove it by.

    `handler` is a function that `@listener` stands on, or its name. Without `types` it hears any
    type of the transaction, which then must be named. `once`: gone after its first match. `state`
    comes back in `Event.state`. `expires` (seconds): gone after this time; without it, after the
    policy's longest.

    Raises Refused, OverBudget, and Invalid for a handler that is no listener or a `state` that is no
    string.
    """
    host = _host.optional("listeners")
    wanted = host.Listener(
        handler=_wire.text(
            "handler", handler if isinstance(handler, str) else name_of("event", handler)
        ),
        types=_wire.texts("a listener's type", types),
        transaction_id=_wire.text_if_any("a listener's transaction_id", transaction_id),
        once=bool(once),
        state=_wire.text("state", state),
        expires_ms=milliseconds(expires),
    )
    with sending():
        added: str = host.add(wanted)
    return added


def remove(id: str) -> None:
    """Removes a listener of this plugin. One that is gone already, or another plugin's, is left
    alone. Raises OverBudget, and Invalid for an id that is no string."""
    host = _host.optional("listeners")
    removed = _wire.text("id", id)
    with sending():
        host.remove(removed)
