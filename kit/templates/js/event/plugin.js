// Hears `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.
import { emit, event, fields, reusable } from "@conche/guest";

reusable();

event("org.cyverse.events.GreetingRequested", fields({ name: "string" }), function say({ name }) {
  emit({ type: "org.cyverse.events.Greeted", data: { greeting: `Hello, ${name}!` } });
});
