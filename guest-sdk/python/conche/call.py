"""Facts about the call in progress. Always granted."""

from __future__ import annotations

from . import _host


def attempt() -> int:
    """1 at the first delivery of an event, more when it comes again; always 1 for a query."""
    number: int = _host.call.attempt()
    return number


def idempotency_key() -> str:
    """Equal at every delivery of this event to this handler: for effects outside Conche."""
    key: str = _host.call.idempotency_key()
    return key


def remaining() -> float:
    """Wall-clock time left for this call, waiting included, in seconds."""
    milliseconds: int = _host.call.remaining_ms()
    return milliseconds / 1000


def hops() -> int:
    """How many requests lie between whoever began this and this call."""
    number: int = _host.call.hops()
    return number
