"""Every capability of the SDK once, as the cases in `../tests` want it."""

from dataclasses import dataclass
from typing import Any, Never

from conche import (
    SILENCE,
    CloudEvent,
    Draft,
    Event,
    Fault,
    Query,
    Registration,
    Reject,
    Reply,
    Retry,
    SendError,
    Silence,
    any_event,
    any_query,
    call,
    config,
    emit,
    event,
    exchange,
    listener,
    listeners,
    log,
    query,
    register,
    request,
    request_all,
    reusable,
)

QUERIES = "cyverse.capabilities."
EVENTS = "org.cyverse.events.capabilities."
TIMEOUT = 0.2

reusable()


def tell(data: object) -> None:
    emit(EVENTS + "Told", data)


# ---- whole messages ----


def parts(message: CloudEvent) -> dict[str, Any]:
    """What a message consists of, beside its type and its transaction."""
    names = ("data", "subject", "datacontenttype", "dataschema", "extensions")
    return {name: getattr(message, name) for name in names}


@query(QUERIES + "Echo")
def echo(message: Query) -> Reply:
    return Reply(**parts(message), type="cyverse.capabilities.Echoed")


@query(QUERIES + "Silence")
def silence(message: Query) -> Silence:
    return SILENCE


@event(EVENTS + "Copy")
def copy(message: Event) -> None:
    emit(EVENTS + "Copied", **parts(message), transaction_id="tid-of-the-copy", key="copy")
    emit(EVENTS + "Bare")


@any_query
def rest(message: Query) -> dict[str, str]:
    return {"rest": message.type}


@any_event
def tell_rest(message: Event) -> None:
    tell({"rest": message.type})


# ---- the host ----


def facts_of(handler: str) -> dict[str, object]:
    return {
        "handler": handler,
        "attempt": call.attempt(),
        "idempotency_key": call.idempotency_key(),
        "hops": call.hops(),
        "in_time": call.remaining() > 0,
    }


@query(QUERIES + "Facts")
def facts(message: Query) -> dict[str, object]:
    return facts_of(message.handler)


@event(EVENTS + "Facts")
def tell_facts(message: Event) -> None:
    tell(facts_of(message.handler))


@query(QUERIES + "Config")
def configuration(message: Query) -> dict[str, object]:
    return {
        "keys": config.keys(),
        "colour": config.get("colour"),
        "taste": config.get("taste"),
        "limit": config.parse("limit", int),
    }


@query(QUERIES + "Log")
def lines(message: Query) -> None:
    log.trace("one", n=1, word="Zoë")
    log.debug("two", n="2")
    log.info("three")
    log.warn("four")
    log.error("five")
    log.critical("six")


@query(name="late")
def handler_alone(message: Query) -> dict[str, str]:
    return {"handler": message.handler}


@register
def configure(registration: Registration) -> None:
    if refuse := config.get("refuse"):
        raise ValueError(refuse)
    if op := config.get("op"):
        registration.query(config.get("handler") or "late", op)


# ---- sending ----


def ask_by_subject(message: CloudEvent) -> CloudEvent:
    return request(message.subject or "", message.data, subject="asked", timeout=TIMEOUT)


@query(QUERIES + "Ask")
def ask(message: Query) -> Reply:
    return Reply(**parts(ask_by_subject(message)))


@event(EVENTS + "Ask")
def tell_answer(message: Event) -> None:
    tell(ask_by_subject(message).data)


@query(QUERIES + "AskAll")
def ask_all(message: Query) -> list[dict[str, object]]:
    queries = [
        Draft("cyverse.users.Get", {"id": 1}),
        Draft("cyverse.users.Get", {"id": 2}),
        Draft("cyverse.secrets.Get"),
        Draft("cyverse.users.Count"),
    ]
    return [
        {"error": str(one)} if isinstance(one, SendError) else {"value": one.json()}
        for one in request_all(queries, timeout=TIMEOUT)
    ]


@query(QUERIES + "Exchange", name="exchange")
def exchange_one(data: Any) -> dict[str, object]:
    answer = exchange(EVENTS + "Asked", data, answers=[EVENTS + "No", EVENTS + "Yes"], timeout=TIMEOUT)
    return {"type": answer.type, "answer": answer.json()}


@dataclass
class Emit:
    type: str
    times: int


@query(QUERIES + "Emit")
@event(EVENTS + "Emit")
def emit_some(ask: Emit) -> dict[str, list[str]]:
    return {"ids": [emit(ask.type) for _ in range(ask.times)]}


# ---- listeners ----


@dataclass
class Listen:
    handler: str
    by_transaction: bool = False


@query(QUERIES + "Listen")
@event(EVENTS + "Listen")
def listen(ask: Listen) -> dict[str, str]:
    if not ask.by_transaction:
        return {"id": listeners.add(ask.handler, types=[EVENTS + "Yes"])}
    id = listeners.add(
        ask.handler,
        types=[EVENTS + "Yes", EVENTS + "No"],
        transaction_id="tid-of-another",
        once=True,
        state="where it stopped: Zoë",
        expires=5,
    )
    listeners.remove("listener-old")
    return {"id": id}


@listener
def heard(data: Any, message: Event) -> None:
    tell(
        {
            "handler": message.handler,
            "listener": message.listener,
            "state": message.state,
            "data": data,
        }
    )


# ---- errors ----


@dataclass
class Failing:
    how: str
    code: int


@query(QUERIES + "Fail")
@event(EVENTS + "Fail")
def fail(ask: Failing) -> Never:
    match ask.how:
        case "reject":
            raise Reject(ask.code, "will never work")
        case "retry":
            raise Retry("not there yet")
        case "retry-after":
            raise Retry("not there yet", after=1.5)
    raise Fault(ask.code, "not acceptable", details=[{"field": "name"}])
