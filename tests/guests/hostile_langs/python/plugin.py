"""What a plugin should not do, one handler each; and one that behaves, to see that it still can."""

from typing import Any

from conche import Fault, Reply, SendError, emit, event, query


@query("cyverse.hostile.Throw")
def throw() -> None:
    raise RuntimeError("thrown on purpose")


@query("cyverse.hostile.Loop")
def loop() -> None:
    while True:
        pass


@query("cyverse.hostile.Allocate")
def allocate() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1 << 20))


@query("cyverse.hostile.Fine")
def fine() -> dict[str, bool]:
    return {"ok": True}


@event("org.cyverse.events.hostile.Throw")
def throw_event() -> None:
    raise RuntimeError("thrown on purpose")


# ---- what only Python does: its bindings end the call at a text that is none ----


@query("cyverse.hostile.Reply")
def reply(data: dict[str, Any]) -> Reply:
    return Reply(1, **data)


@query("cyverse.hostile.Emit")
def emit_or_say_why(data: dict[str, Any]) -> str:
    try:
        return emit("org.cyverse.events.hostile.Told", **data)
    except SendError as error:
        return str(error)


@query("cyverse.hostile.Half")
def half() -> str:
    try:
        return emit("org.cyverse.events.hostile.Told", subject="a\ud800")
    except SendError as error:
        return str(error)


@query("cyverse.hostile.Fault")
def fault(data: Any) -> None:
    raise Fault(404, data)
