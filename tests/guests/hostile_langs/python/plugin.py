"""What a plugin should not do, one handler each; and one that behaves, to see that it still can."""

from conche import event, query


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
