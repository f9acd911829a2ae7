/** StarlingMonkey brings nearly all of the web's globals, and waits for promises itself. */
import { install as console } from "./console.js";
import { useEngine } from "./waiting.js";

console();

useEngine({
  wait: (promise, done, failed) => Promise.resolve(promise).then(done).catch(failed),
  rest() {},
});
