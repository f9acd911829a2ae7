/** What QuickJS lacks and plugins expect, as far as it makes sense where nothing waits. */
import { install as console } from "./console.js";
import { structuredClone } from "./clone.js";
import { hasHost } from "./host.js";
import { Promise, drain, queueMicrotask } from "./promise.js";
import { crypto, random } from "./random.js";
import { traced } from "./stack.js";
import { TextDecoder, TextEncoder } from "./text.js";
import { useEngine } from "./waiting.js";

define({ Promise, queueMicrotask, TextEncoder, TextDecoder, crypto, structuredClone });
Math.random = random;
console();

// An instance begins as a copy of the one that was built, its clock's zero included.
const clock = performance;
let start;
define({
  performance: {
    now() {
      start ??= clock.now();
      return clock.now() - start;
    },
  },
});

// What fails while the plugin is built is shown by the build: with the author's own lines. In calls it
// would cost each error what only those that are shown are worth.
Error.prepareStackTrace = (error, frames) => {
  if (!hasHost()) return traced(frames);
  Error.prepareStackTrace = undefined;
  return traced(frames);
};

for (const name of ["setTimeout", "setInterval", "setImmediate", "fetch"]) {
  define({
    [name]() {
      throw new Error(`${name}: a handler runs to its end in one go, and has no timers, sockets or files; ask others with request()`);
    },
  });
}

useEngine({
  /** All that can happen to a promise happens in `drain`: nothing else is going on. */
  wait(promise, done) {
    let settled;
    promise.then(
      (value) => (settled = () => done(value)),
      (error) =>
        (settled = () => {
          throw error;
        }),
    );
    drain();
    if (!settled) throw new Error("the handler's promise never settles: there is nothing left that could settle it");
    return settled();
  },
  rest: drain,
});

function define(globals) {
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
}
