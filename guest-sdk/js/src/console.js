/** `console`, to the host's log. */
import { log, shown } from "./log.js";

/** Each method and the level of its lines. */
const LEVELS = { log: "info", info: "info", dir: "info", debug: "debug", trace: "trace", warn: "warn", error: "error" };

export function install() {
  const methods = Object.entries(LEVELS).map(([name, level]) => [name, (...parts) => log[level](parts.map(shown).join(" "))]);
  globalThis.console = {
    ...globalThis.console,
    ...Object.fromEntries(methods),
    assert(holds, ...parts) {
      if (!holds) console.error("assertion failed:", ...parts);
    },
  };
}
