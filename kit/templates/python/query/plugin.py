"""Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out."""

from dataclasses import dataclass

from conche import query, reusable

reusable()


@dataclass
class Ask:
    name: str


@query("cyverse.{{name}}.Greet")
def greet(ask: Ask) -> dict[str, str]:
    return {"greeting": f"Hello, {ask.name}!"}
