// Answers the query `cyverse.{{name}}.Greet`: `{"name": …}` in, `{"greeting": …}` out.
import { fields, query, reusable } from "@conche/guest";

reusable();

query("cyverse.{{name}}.Greet", fields({ name: "string" }), function greet({ name }) {
  return { greeting: `Hello, ${name}!` };
});
