// Answers the query `cyverse.greeter.Greet`: `{"name": …}` in, `{"greeting": …}` out.
import { fields, query, reusable } from "@conche/guest";

reusable();

query("cyverse.greeter.Greet", fields({ name: "string" }), function greet({ name }) {
  return { greeting: `Hello, ${name}!` };
});
