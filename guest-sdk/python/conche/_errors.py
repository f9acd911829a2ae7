"""How a handler fails and how a message it sends can fail, and which of the two follows from the
other: an exception that a handler lets through becomes a fault or says what becomes of the event.
Must not know the host's functions.
"""

from __future__ import annotations

from datetime import timedelta

from ._limits import milliseconds


class Fault(Exception):
    """An error as an answer. Codes as in HTTP: 4xx do not repeat, 5xx may be repeated.

    `details`, whatever can be written as JSON, tells programs more than the message does. An event
    handler may raise one too: from 500 on the event comes again, below that it never does.
    """

    def __init__(self, code: int, message: str, details: object = None) -> None:
        if not isinstance(code, int) or not 0 <= code <= 65535:
            raise ValueError(f"{code!r} is no code of a fault: as in HTTP, 400 to 599")
        super().__init__(code, message, details)
        self.code = code
        self.message = str(message)
        self.details = details

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})"

    @classmethod
    def bad_request(cls, message: str, details: object = None) -> Fault:
        """400: the message itself is wrong."""
        return cls(400, message, details)

    @classmethod
    def not_found(cls, message: str, details: object = None) -> Fault:
        """404: what it asks for is not there."""
        return cls(404, message, details)

    @classmethod
    def unprocessable(cls, message: str, details: object = None) -> Fault:
        """422: well formed, but not acceptable. Say what in `details`."""
        return cls(422, message, details)

    @classmethod
    def internal(cls, message: str, details: object = None) -> Fault:
        """500: it failed here, and may work when repeated."""
        return cls(500, message, details)


class Reject(Fault):
    """Never again, whatever the code: the event goes to the dead letters with this fault."""


class Retry(Exception):
    """Later, as often as the policy allows; not before `after` (seconds) has passed, or when the
    host's backoff says so. A query cannot come again: its asker gets a fault 503."""

    def __init__(self, message: str, after: float | timedelta | None = None) -> None:
        super().__init__(message, after)
        self.message = str(message)
        self.after_ms = milliseconds(after)

    def __str__(self) -> str:
        return self.message


class ConfigError(Exception):
    """A value in `[config]` that cannot be read. Read the configuration in a `register` function as
    well, and the host refuses the plugin with this text instead of failing its first call."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.key}` in [config]: {self.reason}"


class SendError(Exception):
    """Why a message was not sent, or a request got no answer: one of the classes below."""


class Refused(SendError):
    """The policy does not grant it; the text says so, and the line to add."""


class OverBudget(SendError):
    """A budget of this call (count, bytes, hops) is spent."""

    def __str__(self) -> str:
        return f"over budget: {super().__str__()}"


class Invalid(SendError):
    """The message cannot be sent as it is."""

    def __str__(self) -> str:
        return f"invalid message: {super().__str__()}"


class NoResponders(SendError):
    """Nobody serves this op."""

    def __str__(self) -> str:
        return "nobody answers"


class TimedOut(SendError):
    """No answer came in time."""

    def __str__(self) -> str:
        return "timed out"


class Busy(SendError):
    """Shed before it ran: safe to repeat."""

    def __str__(self) -> str:
        return "busy"


class Remote(SendError):
    """The other side answered with an error: `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        return f"the other side failed: {self.fault}"


class SendFailed(SendError):
    """Anything else; the text says what."""


def as_fault(error: BaseException) -> Fault | None:
    """What the asker gets when a handler lets this through: the other side's own fault, 503 and 504
    for what may work when repeated, 500 for what is this plugin's fault. None: it is no error that
    handlers fail with on purpose."""
    match error:
        case Fault():
            return error
        case Remote():
            return error.fault
        case NoResponders() | Busy() | Retry():
            return Fault(503, str(error))
        case TimedOut():
            return Fault(504, str(error))
        case SendError() | ConfigError():
            return Fault(500, str(error))
    return None


def as_event_error(error: BaseException) -> Reject | Retry | None:
    """What becomes of the event when a handler lets this through: rejected if the same would happen
    again (not granted, invalid, a 4xx fault), else retried. None: as above."""
    match error:
        case Reject() | Retry():
            return error
        case Remote():
            return as_event_error(error.fault)
        case Fault():
            return Retry(str(error)) if error.code >= 500 else reject(error)
        case Refused() | Invalid():
            return Reject(500, str(error))
        case SendError() | ConfigError():
            return Retry(str(error))
    return None


def reject(fault: Fault) -> Reject:
    """The same fault, as a reason never to try again."""
    return Reject(fault.code, fault.message, fault.details)


def text_of(error: BaseException) -> str:
    """What to tell of an error that nobody meant: its message, if that can stand alone."""
    text = str(error)
    if isinstance(error, MemoryError):
        return "out of memory: raise memory in [limits], or hold less"
    if not text:
        return type(error).__name__
    # The message of a KeyError is the bare key.
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) else text
