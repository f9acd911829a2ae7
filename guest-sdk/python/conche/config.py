"""The `[config]` of the plugin's policy. Always granted; it does not change while a version runs.
It is not there yet while the plugin is built: read it in handlers or in a `register` function.
"""

from __future__ import annotations

from typing import Callable, TypeVar, overload

from . import _host
from ._errors import ConfigError

T = TypeVar("T")


def get(key: str) -> str | None:
    """The value of one key."""
    value: str | None = _host.config.get(key)
    return value


def keys() -> list[str]:
    """Every key that has a value."""
    return list(_host.config.keys())


@overload
def parse(key: str, read: Callable[[str], T]) -> T | None: ...
@overload
def parse(key: str, read: Callable[[str], T], default: T) -> T: ...
def parse(key: str, read: Callable[[str], T], default: T | None = None) -> T | None:
    """The value of one key as `int`, `float` or any other function reads it; without the key the
    default. Raises ConfigError when the function raises ValueError."""
    value = get(key)
    if value is None:
        return default
    try:
        return read(value)
    except ValueError as error:
        raise ConfigError(key, str(error)) from None
