/** Lines in the host's log. What is written while the plugin is built is logged when it is loaded. */
import { log as write } from "conche:handler/log@0.1.0";

import { wellFormed } from "./check.js";
import { whenLoaded } from "./host.js";

const levels = ["trace", "debug", "info", "warn", "error", "critical"];

export const log = Object.fromEntries(levels.map((level) => [level, (message, fields = {}) => line(level, message, fields)]));

function line(level, message, fields) {
  const pairs = Object.entries(fields).map(([key, value]) => ({ key: wellFormed(key), value: wellFormed(shown(value)) }));
  whenLoaded(() => write(level, wellFormed(shown(message)), pairs));
}

/** A value as a person reads it: text as it is, an error with its stack, all else as JSON. */
export function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}
