// Places in the one module become places in sources.
import assert from "node:assert/strict";
import { test } from "node:test";

import { index, translate } from "../src/stack.js";

// Line 2 of the module: column 0 is plugin.js 3:5, column 4 is the SDK's 1:1; line 3: column 2 is plugin.js 18:1.
const map = index({ sources: ["plugin.js", "@conche/guest/exports.js"], mappings: ";AAEI,ICFJ;EDiBA" });

function check(stack, expected) {
  assert.equal(translate(stack, map), expected);
}

test("places are translated, both engines' way", () => {
  check("    at f (/bundle.js:2:3)", "    at f (plugin.js:3:5)");
  check("f@bundle.js:2:1", "f@plugin.js:3:5");
  check("    at g (/bundle.js:3:9)", "    at g (plugin.js:18:1)");
});

test("lines that are not the author's go, save the engine's", () => {
  check("    at f (/bundle.js:2:3)\n    at run (/bundle.js:2:8)\n    at helper (/bundle.js:1:1)", "    at f (plugin.js:3:5)");
  check("    at map (native)", "    at map (native)");
});
