"""Answers the query `cyverse.greeter.Greet`: `{"name": …}` in, `{"greeting": …}` out."""

from dataclasses import dataclass

from conche import query, reusable

reusable()


@dataclass
class Ask:
    name: str


@query("cyverse.greeter.Greet")
def greet(ask: Ask) -> dict[str, str]:
    return {"greeting": f"Hello, {ask.name}!"}
