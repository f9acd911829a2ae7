// Keeps a trail: hears every `org.cyverse.events.GreetingRequested` and
// `org.cyverse.events.OrderCreated`, emits one `org.cyverse.events.AuditRecorded` for each.
import { emit, event, log, reusable } from "@conche/guest";

reusable();

// Takes the whole event, since the attributes matter here and the data does not.
event.raw(["org.cyverse.events.GreetingRequested", "org.cyverse.events.OrderCreated"], function record(cause) {
  const { id, type, source, subject = null, time = null } = cause;
  const data = { id, type, source, subject, time };
  // One record an event: with the key, a retry sends the same one again and it is stored once.
  const recorded = emit({ type: "org.cyverse.events.AuditRecorded", key: "record", data });
  log.info("recorded", { record: recorded });
});
