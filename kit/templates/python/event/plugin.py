"""Hears `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`."""

from dataclasses import dataclass

from conche import emit, event, reusable

reusable()


@dataclass
class Ask:
    name: str


@event("org.cyverse.events.GreetingRequested")
def say(ask: Ask) -> None:
    emit("org.cyverse.events.Greeted", {"greeting": f"Hello, {ask.name}!"})
