/**
 * From a function that may return a promise to what the host is answered. How a promise is waited
 * for is the engine's: QuickJS leaves it to `promise.js`, StarlingMonkey waits itself.
 */
let engine;

/**
 * `wait(promise, done, failed)` answers the host, `failed` being for engines that answer later;
 * `rest()` runs what was begun and not awaited.
 */
export function useEngine(chosen) {
  engine = chosen;
}

export function settle(run, done, failed) {
  try {
    const value = begin(run);
    return typeof value?.then === "function" ? engine.wait(value, done, failed) : done(value);
  } catch (error) {
    return failed(error);
  }
}

/** Nothing of this call may be left for the next one. */
function begin(run) {
  try {
    return run();
  } finally {
    engine.rest();
  }
}
