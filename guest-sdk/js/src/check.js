/**
 * Checks of what goes out. The engines convert wrongly typed values in silence (1.5 becomes 1) or
 * stop with a trap that names nothing, so what an author writes is checked before it is handed over.
 */
const MAX_U32 = 0xffff_ffff;
const MAX_I32 = 0x7fff_ffff;

/** Optional text: undefined and null both mean that there is none. */
export function checkText(what, value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${kind(value)}`);
  return wellFormed(value);
}

export function checkNeededText(what, value) {
  if (value === undefined || value === null) throw new TypeError(`${what} is missing`);
  return checkText(what, value);
}

/** Half a surrogate pair is no character, and cannot leave the engine. */
export function wellFormed(text) {
  return text.isWellFormed() ? text : text.toWellFormed();
}

export function checkTexts(what, value) {
  if (!Array.isArray(value)) throw new TypeError(`${what} must be an array of strings, not ${kind(value)}`);
  return value.map((one, index) => checkNeededText(`${what}[${index}]`, one));
}

/** A time in milliseconds, at most 49 days; what is longer is as good as that. */
export function checkMilliseconds(what, value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !(value >= 0)) {
    throw new TypeError(`${what} must be a number of milliseconds, not ${kind(value)}`);
  }
  return Math.min(Math.round(value), MAX_U32);
}

/** An extension attribute: CloudEvents have booleans, 32-bit integers and text, and no other numbers. */
export function checkAttribute(what, value) {
  if (typeof value === "boolean") return { tag: "boolean", val: value };
  if (typeof value === "string") return { tag: "text", val: wellFormed(value) };
  if (Number.isInteger(value) && value >= -MAX_I32 - 1 && value <= MAX_I32) return { tag: "integer", val: value };
  throw new TypeError(`${what} must be true, false, a string or a 32-bit integer, not ${kind(value)}`);
}

/** A misspelt option would do nothing, and nobody would know. */
export function checkKeys(what, value, known) {
  if (typeof value !== "object" || value === null) throw new TypeError(`${what} must be an object, not ${kind(value)}`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new TypeError(`${what} has no \`${key}\`: it may have ${known.join(", ")}`);
  }
}

/** What a value is, for messages. */
export function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "string") return "a string";
  if (typeof value === "undefined") return "undefined";
  return `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}
