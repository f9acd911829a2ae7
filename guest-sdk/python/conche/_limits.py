"""Times as the contract has them: whole milliseconds in 32 bits."""

from __future__ import annotations

from datetime import timedelta

LONGEST_MS = 2**32 - 1


def milliseconds(time: float | timedelta | None) -> int | None:
    """Seconds, or a timedelta, as milliseconds. More than 49 days saturates."""
    if time is None:
        return None
    seconds = time.total_seconds() if isinstance(time, timedelta) else time
    if not seconds >= 0:
        raise ValueError(f"{time} is no time to wait: seconds from 0 on, or a timedelta")
    return round(min(seconds * 1000, LONGEST_MS))
