// Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out. Hears
// `org.cyverse.events.GreetingRequested`, says `org.cyverse.events.Greeted`.
import { emit, event, fields, query, reusable } from "@conche/guest";

const Ask = fields({ name: "string" });

reusable();

query("cyverse.{{name}}.Greet", Ask, function greet({ name }) {
  return { greeting: `Hello, ${name}!` };
});

event("org.cyverse.events.GreetingRequested", Ask, function say({ name }) {
  emit({ type: "org.cyverse.events.Greeted", data: { greeting: `Hello, ${name}!` } });
});
