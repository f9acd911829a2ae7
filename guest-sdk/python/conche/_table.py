"""What the plugin hears and which functions handle it: what the decorators write down. Must not
know how a handler is called.
"""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass, field
from typing import Any, Callable, Literal, TypeVar, overload

from . import _message, _shapes

F = TypeVar("F", bound=Callable[..., Any])

Role = Literal["query", "event"]
Hears = Literal["query", "any query", "event", "any event", "listener"]

# On a decorated function: its name in each role.
_NAMES = "__conche_names__"


@dataclass
class Handler:
    """One decorated function, in one role."""

    name: str
    role: Role
    function: Callable[..., Any]
    # How to make each parameter of the message: None stands for the message itself.
    parameters: list[tuple[str, _shapes.Reader | None]] = field(default_factory=list)

    def arguments(self, message: _message.CloudEvent) -> dict[str, Any]:
        """Raises a fault 400 for data that does not fit."""
        return {
            name: message if reader is None else _message.read(message, reader)
            for name, reader in self.parameters
        }


@dataclass
class Heard:
    """One registration that a decorator asks for."""

    hears: Hears
    handler: str
    names: tuple[str, ...] = ()


@dataclass
class Table:
    """All that the decorators of one plugin have written down."""

    reusable: bool = False
    heard: list[Heard] = field(default_factory=list)
    handlers: dict[tuple[Role, str], Handler] = field(default_factory=dict)
    register: Callable[[Registration], object] | None = None

    def add(self, hears: Hears, function: Callable[..., Any], name: str, names: Any) -> None:
        if not callable(function):
            raise TypeError(f"@{hears.replace(' ', '_')} stands on {function!r}, not on a function")
        if inspect.iscoroutinefunction(function):
            raise TypeError(
                f"`{name}` is async: write a plain function; the host does other work while it waits"
            )
        role: Role = "query" if hears in ("query", "any query") else "event"
        known = self.handlers.setdefault((role, name), Handler(name, role, function))
        if known.function is not function:
            raise ValueError(f"two {role} handlers are called `{name}`: name one with `name=…`")
        setattr(function, _NAMES, getattr(function, _NAMES, {}) | {role: name})
        self.heard.append(Heard(hears, name, tuple(names)))

    def seal(self) -> None:
        """Reads the annotations of all handlers, once everything that they name is there."""
        for handler in self.handlers.values():
            try:
                handler.parameters = _parameters(handler.function)
            except (TypeError, NameError) as error:
                code = handler.function.__code__
                place = f'File "{code.co_filename}", line {code.co_firstlineno}'
                raise TypeError(f"{place}: handler `{handler.name}`: {error}") from None


PLUGIN = Table()
"""That of the plugin that this package is built into."""


class Registration:
    """Declares what the plugin hears beyond what its decorators say, while it is being loaded. A
    handler named here must have a decorator, if need be one without ops: `@query()`."""

    def __init__(self, host: Any, table: Table) -> None:
        self._host = host
        self._table = table

    def query(self, handler: Callable[..., Any] | str, *ops: str) -> None:
        """The handler answers these query ops."""
        name = self._name("query", handler)
        for op in ops:
            self._host.on_query(name, op)

    def any_query(self, handler: Callable[..., Any] | str) -> None:
        """Every query of the host's namespace that no other registration takes."""
        self._host.on_any_query(self._name("query", handler))

    def event(self, handler: Callable[..., Any] | str, *types: str) -> None:
        """The handler hears these event types."""
        name = self._name("event", handler)
        if types:
            self._host.on_event(name, list(types))

    def any_event(self, handler: Callable[..., Any] | str) -> None:
        """Every event of the host's stream that no other registration of this plugin takes."""
        self._host.on_any_event(self._name("event", handler))

    def listener(self, handler: Callable[..., Any] | str) -> None:
        """`listeners.add` may name this handler."""
        self._host.on_listener(self._name("event", handler))

    def reusable(self) -> None:
        """As the function of that name."""
        self._host.reusable()

    def _name(self, role: Role, handler: Callable[..., Any] | str) -> str:
        name = handler if isinstance(handler, str) else name_of(role, handler)
        if (role, name) not in self._table.handlers:
            raise ValueError(f"no {role} handler is called `{name}`: it needs a decorator, @{role}()")
        return name


def query(*ops: str, name: str | None = None) -> Callable[[F], F]:
    """The function answers these query ops. Its name, or `name`, stands in logs and in the ids of
    what it emits: keep it when the function is renamed."""
    return _decorator("query", ops, name)


def event(*types: str, name: str | None = None) -> Callable[[F], F]:
    """The function hears these event types."""
    return _decorator("event", types, name)


@overload
def any_query(function: F, /) -> F: ...
@overload
def any_query(*, name: str | None = None) -> Callable[[F], F]: ...
def any_query(function: Any = None, /, *, name: str | None = None) -> Any:
    """The default: every query of the host's namespace that nothing else takes."""
    decorate: Callable[[Any], Any] = _decorator("any query", (), name)
    return decorate if function is None else decorate(function)


@overload
def any_event(function: F, /) -> F: ...
@overload
def any_event(*, name: str | None = None) -> Callable[[F], F]: ...
def any_event(function: Any = None, /, *, name: str | None = None) -> Any:
    """The default: every event that no other handler of this plugin takes."""
    decorate: Callable[[Any], Any] = _decorator("any event", (), name)
    return decorate if function is None else decorate(function)


@overload
def listener(function: F, /) -> F: ...
@overload
def listener(*, name: str | None = None) -> Callable[[F], F]: ...
def listener(function: Any = None, /, *, name: str | None = None) -> Any:
    """The function may be named by `listeners.add`."""
    decorate: Callable[[Any], Any] = _decorator("listener", (), name)
    return decorate if function is None else decorate(function)


def register(function: Callable[[Registration], object]) -> Callable[[Registration], object]:
    """The function runs when the plugin is loaded, after what the decorators say: to check the
    configuration, to register what depends on it. What it raises refuses the plugin."""
    if PLUGIN.register is not None:
        raise ValueError("two functions are decorated with @register: one is enough")
    PLUGIN.register = function
    return function


def reusable() -> None:
    """One instance may serve many calls, one after the other: what a handler leaves in globals
    stays. Without it every call gets a fresh instance."""
    PLUGIN.reusable = True


def name_of(role: Role, function: Callable[..., Any]) -> str:
    """The name that a handler is registered under; for what is none, its own."""
    names: dict[Role, str] = getattr(function, _NAMES, {})
    return names.get(role) or _own_name(function)


def _own_name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", function))


def _decorator(hears: Hears, names: tuple[Any, ...], name: str | None) -> Callable[[F], F]:
    written = hears.replace(" ", "_")
    for one in names:
        if not isinstance(one, str):
            raise TypeError(f'@{written} takes strings: @{written}("…"), not {one!r}')

    def decorate(function: F) -> F:
        PLUGIN.add(hears, function, name or _own_name(function), names)
        return function

    return decorate


def _parameters(function: Callable[..., Any]) -> list[tuple[str, _shapes.Reader | None]]:
    hints = typing.get_type_hints(function)
    found: list[tuple[str, _shapes.Reader | None]] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter `{name}` is neither data nor message: give it a plain name")
        shape = hints.get(name, Any)
        is_message = isinstance(shape, type) and issubclass(shape, _message.CloudEvent)
        reader = None if is_message else _shapes.reader(shape)
        if any((known is None) == is_message for _, known in found):
            raise TypeError(
                "takes at most two arguments: the data, and the message it came in (`Query` or "
                f"`Event`); `{name}` is one more"
            )
        found.append((name, reader))
    return found
