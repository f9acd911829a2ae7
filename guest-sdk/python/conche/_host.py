"""The one seam between this package and the host: the modules that componentize-py generates for
the plugin's world. Tests put their own in their place. Must not know what is done with them.

They are found when this module is loaded, while the plugin is being built: a component cannot load
modules later. Outside a component, in a plugin's own tests, there are none.
"""

from __future__ import annotations

import importlib
from typing import Any


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


exports = _module("wit_world.exports")
results = _module("componentize_py_types")
types = _module("wit_world.imports.types")
# Every plugin has these.
registration = _module("wit_world.imports.registration")
call = _module("wit_world.imports.call")
config = _module("wit_world.imports.config")
log = _module("wit_world.imports.log")
# These are there if `uses` in its manifest names them.
_optional = {
    name: _module(f"wit_world.imports.{name}")
    for name in ("emit", "request", "exchange", "listeners")
}


class NotInUse(RuntimeError):
    """The plugin calls what it does not say it uses."""


def optional(name: str) -> Any:
    module = _optional[name]
    if module is None:
        raise NotInUse(
            f'the plugin is built without `{name}`: add "{name}" to `uses` in conche-plugin.toml, '
            "and build it again"
        )
    return module
