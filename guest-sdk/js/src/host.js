/**
 * Whether there is a host. The modules of a plugin are run once, while it is built, and the state
 * they leave is what every instance begins with; the host's functions work only in calls.
 */
let calls = false;
let waiting = [];

/** The start of a call. What waited for the plugin to be loaded happens if this call loads it. */
export function enter({ loading = false } = {}) {
  if (calls) return;
  calls = true;
  if (loading) for (const run of waiting) run();
  waiting = [];
}

export function hasHost() {
  return calls;
}

/** Runs it now; while the plugin is built, later: each time that it is loaded, and not in each instance. */
export function whenLoaded(run) {
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
