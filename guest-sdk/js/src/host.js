/**
 * Whether there is a host. The modules of a plugin are run once, while it is built, and the state
 * they leave is what every instance begins with; the host's functions work only in calls.
 */
let calls = false;
const waiting = [];

/** Called at the start of each call. What waited for the host happens now. */
export function enter() {
  calls = true;
  for (const run of waiting.splice(0)) run();
}

export function hasHost() {
  return calls;
}

/** Runs it now, or as soon as there is a host. */
export function whenHosted(run) {
  if (calls) run();
  else waiting.push(run);
}

/** Throws what an author can act on, where the engine would stop with a trap. */
export function needHost(what) {
  if (calls) return;
  throw new Error(
    `${what} needs the host, and there is none while the plugin is built: call it in a handler or in register()`,
  );
}
