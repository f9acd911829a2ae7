/**
 * Stacks in the author's own files and lines. The build joins all modules in one and leaves its
 * source map in a global; it is read only when a stack is shown.
 */
const MAP = Symbol.for("conche.map");
const PLACE = /[^\s()@]*\bbundle\.js:(\d+):(\d+)/g;
const SDK = "@conche/guest/";
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The stack of whatever was thrown; empty if it has none. */
export function stackOf(error) {
  return typeof error?.stack === "string" ? translate(error.stack, globalThis[MAP]).trim() : "";
}

/** For `Error.prepareStackTrace`. */
export function traced(error, frames) {
  const lines = frames.map((frame) => {
    const place = frame.getFileName() ? `${frame.getFileName()}:${frame.getLineNumber()}:${frame.getColumnNumber()}` : "native";
    return `    at ${frame.getFunctionName() || "<anonymous>"} (${place})\n`;
  });
  return translate(lines.join(""), globalThis[MAP]);
}

/** The same stack with places in sources, and without the lines that are this SDK's. */
export function translate(stack, map) {
  if (!map) return stack;
  const lines = decode(map.mappings);
  const translated = stack.replace(PLACE, (place, line, column) => {
    const found = find(lines[line - 1] ?? [], column - 1);
    return found ? `${map.sources[found.source]}:${found.line + 1}:${found.column + 1}` : place;
  });
  return translated
    .split("\n")
    .filter((line) => !line.includes(SDK))
    .join("\n");
}

/** The last segment that begins at or before a column. */
function find(segments, column) {
  return segments.findLast((segment) => segment.generated <= column);
}

/** `mappings` of a source map (version 3): lines of segments. */
function decode(mappings) {
  let [source, line, column] = [0, 0, 0];
  return mappings.split(";").map((text) => {
    let generated = 0;
    const segments = text === "" ? [] : text.split(",").map(numbers);
    return segments.map(([byGenerated, bySource = 0, byLine = 0, byColumn = 0]) => {
      generated += byGenerated;
      source += bySource;
      line += byLine;
      column += byColumn;
      return { generated, source, line, column };
    });
  });
}

/** Base 64 with the lowest digit first; of each digit the highest bit says that more follow, of the
 * whole number the lowest is the sign. */
function numbers(text) {
  const found = [];
  let [value, shift] = [0, 0];
  for (const letter of text) {
    const digit = DIGITS.indexOf(letter);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    found.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return found;
}
