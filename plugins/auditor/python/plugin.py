"""Keeps a trail: hears every `org.cyverse.events.GreetingRequested` and
`org.cyverse.events.OrderCreated`, emits one `org.cyverse.events.AuditRecorded` for each.
"""

from conche import Event, emit, event, log, reusable

reusable()


@event("org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated")
def record(cause: Event) -> None:
    """Takes the whole event, since the attributes matter here and the data does not."""
    attributes = {
        "id": cause.id,
        "type": cause.type,
        "source": cause.source,
        "subject": cause.subject,
        "time": cause.time,
    }
    # One record an event: with the key, a retry sends the same one again and it is stored once.
    id = emit("org.cyverse.events.AuditRecorded", attributes, key="record")
    log.info("recorded", record=id)
