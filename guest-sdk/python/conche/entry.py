"""What componentize-py makes the component of: loads the plugin while it is being built, and exports
what the plugin handles. Must not know what a handler looks like.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from . import _host, _run
from ._table import PLUGIN
from .log import Handler

# Byte code would lie beside the author's files.
sys.dont_write_bytecode = True
import plugin  # noqa: E402, F401 (its decorators fill the table)

logging.basicConfig(handlers=[Handler()], level=logging.INFO)
PLUGIN.seal()
for role, exported in (("query", "QueryHandler"), ("event", "EventHandler")):
    handlers = [handler.name for (of, _), handler in PLUGIN.handlers.items() if of == role]
    if handlers and not hasattr(_host.exports, exported):
        raise SystemExit(
            f"`{handlers[0]}` is a handler of {role}s, and `kind` in conche-plugin.toml names only "
            'the other sort: say kind = "both"'
        )
    if not handlers and hasattr(_host.exports, exported):
        raise SystemExit(
            f"plugin.py has no @{role}, and by `kind` in conche-plugin.toml it handles them: "
            "change the one or the other"
        )


class Lifecycle:
    def register(self) -> None:
        _run.registered(PLUGIN)


class QueryHandler:
    def handle(self, matched: Any, query: Any) -> Any:
        return _run.query(PLUGIN, matched, query)


class EventHandler:
    def handle(self, matched: Any, event: Any) -> None:
        _run.event(PLUGIN, matched, event)
