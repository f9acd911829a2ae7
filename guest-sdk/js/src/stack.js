/**
 * Stacks in the author's own files and lines. The build joins all modules in one and leaves its
 * source map (version 3: sources and mappings) in a global.
 */
const PLACE = /[^\s()@]*\bbundle\.js:(\d+):(\d+)/g;
const SDK = "@conche/guest/";
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Numbers kept of each line: offset, source, row, column. */
const START = 4;

const given = globalThis[Symbol.for("conche.map")];
const map = given && index(given);

/** The stack of whatever was thrown; empty if it has none. */
export function stackOf(error) {
  return typeof error?.stack === "string" ? translate(error.stack, map).trim() : "";
}

/** For `Error.prepareStackTrace`: a stack as QuickJS would write it. */
export function traced(frames) {
  const lines = frames.map((frame) => {
    const place = frame.getFileName() ? `${frame.getFileName()}:${frame.getLineNumber()}:${frame.getColumnNumber()}` : "native";
    return `    at ${frame.getFunctionName() || "<anonymous>"} (${place})`;
  });
  return translate(lines.join("\n"), map);
}

/** The same stack with places in sources, and without the lines that are this SDK's or esbuild's. */
export function translate(stack, map) {
  if (!map) return stack;
  const translated = stack.replace(PLACE, (place, line, column) => find(map, line - 1, column - 1) ?? place);
  return translated
    .split("\n")
    .filter((line) => !line.includes(SDK) && line.search(PLACE) < 0)
    .join("\n");
}

/**
 * What is needed to decode any one line: where it begins in the text, and what the numbers in it are
 * relative to. Made while the plugin is built; decoding all for one stack would take longer than most
 * handlers do.
 */
export function index({ sources, mappings }) {
  const lines = mappings.split(";");
  const starts = new Int32Array(lines.length * START);
  let offset = 0;
  let at = [0, 0, 0];
  lines.forEach((line, number) => {
    starts.set([offset, ...at], number * START);
    offset += line.length + 1;
    at = decode(line, at).at(-1)?.place ?? at;
  });
  return { sources, mappings, starts };
}

/** `source:line:column` of a place in the module; both count from 0 in maps, from 1 for people. */
function find({ sources, mappings, starts }, line, column) {
  const [offset, ...at] = starts.subarray(line * START, (line + 1) * START);
  if (offset === undefined) return undefined;
  const end = mappings.indexOf(";", offset);
  const segments = decode(mappings.slice(offset, end < 0 ? undefined : end), at);
  const found = segments.findLast((segment) => segment.generated <= column);
  if (!found) return undefined;
  const [source, sourceLine, sourceColumn] = found.place;
  return `${sources[source]}:${sourceLine + 1}:${sourceColumn + 1}`;
}

/** The segments of one line: each number is relative to the one before. */
function decode(line, [source, row, column]) {
  let generated = 0;
  const segments = line === "" ? [] : line.split(",").map(numbers);
  return segments.map(([byGenerated, bySource = 0, byRow = 0, byColumn = 0]) => {
    generated += byGenerated;
    source += bySource;
    row += byRow;
    column += byColumn;
    return { generated, place: [source, row, column] };
  });
}

/**
 * Base 64, the lowest digit first; the highest bit of each says that more follow, the lowest of the
 * whole is the sign.
 */
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
