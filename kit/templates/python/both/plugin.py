"""Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out. Hears
`org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.
"""

from dataclasses import dataclass

from conche import emit, event, query, reusable

reusable()


@dataclass
class Ask:
    name: str


@query("cyverse.{{name}}.Greet")
def greet(ask: Ask) -> dict[str, str]:
    return {"greeting": f"Hello, {ask.name}!"}


@event("org.cyverse.events.GreetingRequested")
def say(ask: Ask) -> None:
    emit("org.cyverse.events.Greeted", greet(ask))
