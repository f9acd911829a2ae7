"""Lines in the host's log, which adds the plugin, its digest and the event's id. Always granted,
budgeted: what is over the budget is dropped and counted.

    log.info("order created", order=id, total_cents=total)

The standard `logging` comes here too, from level INFO on; what is given as `extra` becomes fields.
"""

from __future__ import annotations

import logging
import sys
import traceback

from . import _host


def trace(message: str, /, **fields: object) -> None:
    write("trace", message, fields)


def debug(message: str, /, **fields: object) -> None:
    write("debug", message, fields)


def info(message: str, /, **fields: object) -> None:
    write("info", message, fields)


def warn(message: str, /, **fields: object) -> None:
    write("warn", message, fields)


def error(message: str, /, **fields: object) -> None:
    write("error", message, fields)


def critical(message: str, /, **fields: object) -> None:
    write("critical", message, fields)


def write(level: str, message: str, fields: dict[str, object]) -> None:
    """Writes one line; the functions above are shorter. Outside a host, in a plugin's own tests,
    to stderr."""
    texts = {key: _printable(value) for key, value in fields.items()}
    if _host.log is None:
        print(level, message, texts, file=sys.stderr)
        return
    lines = [_host.log.Field(key=key, value=text) for key, text in texts.items()]
    _host.log.log(_host.log.Level[level.upper()], _printable(message), lines)


class Handler(logging.Handler):
    """Takes what the standard `logging` is told: the logger's name, what was given as `extra` and a
    traceback go along as fields."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {
                key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD
            }
            if record.name != "root":
                fields["logger"] = record.name
            if record.exc_info and record.exc_info[1]:
                fields["stack"] = "".join(traceback.format_exception(record.exc_info[1]))
            write(_level(record.levelno), record.getMessage(), fields)
        except Exception:
            self.handleError(record)


def _level(number: int) -> str:
    for name, least in (("critical", 50), ("error", 40), ("warn", 30), ("info", 20), ("debug", 10)):
        if number >= least:
            return name
    return "trace"


def _printable(value: object) -> str:
    """Half of a surrogate pair cannot leave, and a line must not fail for it."""
    return str(value).encode(errors="replace").decode()


_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
