/** `structuredClone` for what data is made of. Pure. */

export function structuredClone(value) {
  return clone(value, new Map());
}

/** `seen` keeps what is in two places, or in itself, one thing. */
function clone(value, seen) {
  if (typeof value === "function" || typeof value === "symbol") throw refusal(`a ${typeof value}`);
  if (typeof value !== "object" || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  const copy = shell(value);
  seen.set(value, copy);
  if (value instanceof Map) for (const [key, inner] of value) copy.set(clone(key, seen), clone(inner, seen));
  else if (value instanceof Set) for (const inner of value) copy.add(clone(inner, seen));
  else if (!ArrayBuffer.isView(value)) for (const key of Object.keys(value)) copy[key] = clone(value[key], seen);
  return copy;
}

/** An object of the same kind, as far as it is not made of others. */
function shell(value) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value);
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof ArrayBuffer || (ArrayBuffer.isView(value) && !(value instanceof DataView))) return value.slice();
  if (value instanceof Error) return shellOfError(value);
  if (Object.prototype.toString.call(value) !== "[object Object]") throw refusal(Object.prototype.toString.call(value));
  return {};
}

function shellOfError(value) {
  const copy = Object.create(Object.getPrototypeOf(value));
  for (const key of ["message", "stack", "cause"]) {
    if (Object.hasOwn(value, key)) Object.defineProperty(copy, key, { value: value[key], writable: true, configurable: true });
  }
  return copy;
}

function refusal(what) {
  return new DOMException(`${what} cannot be cloned`, "DataCloneError");
}
