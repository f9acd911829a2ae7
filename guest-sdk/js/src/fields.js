/** A tiny schema: what data must look like, checked before a handler sees it. Pure. */
import { kind } from "./check.js";
import { Fault } from "./errors.js";

const TYPES = {
  string: ["a string", (value) => typeof value === "string"],
  number: ["a number", (value) => typeof value === "number"],
  integer: ["a whole number", Number.isInteger],
  natural: ["a whole number that is not negative", (value) => Number.isInteger(value) && value >= 0],
  boolean: ["true or false", (value) => typeof value === "boolean"],
  any: ["there", (value) => value !== undefined],
};

/** Checks the shape itself at once, so that a mistake in it is found while the plugin is built. */
export function fields(shape) {
  checkShape(shape, "the shape");
  return {
    parse(value) {
      check(shape, value, "");
      return value;
    },
  };
}

function checkShape(shape, where) {
  if (typeof shape === "string") {
    if (!Object.hasOwn(TYPES, shape)) {
      throw new TypeError(`${where} is \`${shape}\`: it may be ${Object.keys(TYPES).join(", ")}, an object or [shape]`);
    }
  } else if (Array.isArray(shape)) {
    if (shape.length !== 1) throw new TypeError(`${where} is an array: it must hold one shape, that of each item`);
    checkShape(shape[0], `${where}[]`);
  } else if (typeof shape === "object" && shape !== null) {
    for (const [key, inner] of Object.entries(shape)) checkShape(inner, `\`${key}\` in ${where}`);
  } else {
    throw new TypeError(`${where} is ${kind(shape)}: it may be a type's name, an object or [shape]`);
  }
}

function check(shape, value, path) {
  if (typeof shape === "string") {
    const [described, fits] = TYPES[shape];
    if (!fits(value)) wrong(path, described, value);
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value)) wrong(path, "an array", value);
    value.forEach((item, index) => check(shape[0], item, `${path}[${index}]`));
  } else {
    if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(path, "an object", value);
    for (const key of Object.keys(shape)) checkField(shape[key], value, key, path);
  }
}

/** A field whose name ends in `?` in the shape may be absent; null is absent, too. */
function checkField(shape, value, key, path) {
  const optional = key.endsWith("?");
  const name = optional ? key.slice(0, -1) : key;
  const inner = Object.hasOwn(value, name) ? value[name] : undefined;
  if (optional && (inner === undefined || inner === null)) return;
  check(shape, inner, path === "" ? name : `${path}.${name}`);
}

function wrong(path, described, value) {
  const what = path === "" ? "it" : `\`${path}\``;
  const is = value === undefined ? "is missing" : `must be ${described}, not ${kind(value)}`;
  throw new Fault(400, `invalid data: ${what} ${is}`);
}
