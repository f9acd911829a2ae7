// Shapes of data.
import assert from "node:assert/strict";
import { test } from "node:test";

import { fields } from "../src/fields.js";

const order = fields({ name: "string", "note?": "string", items: [{ count: "natural" }] });

function check(data, message) {
  assert.throws(() => order.parse(data), { code: 400, message: `invalid data: ${message}` });
}

test("what fits passes, with what is not named", () => {
  const data = { name: "a", note: null, items: [{ count: 0, more: 1 }] };
  assert.equal(order.parse(data), data);
});

test("what does not fit is named", () => {
  check(null, "it must be an object, not null");
  check([], "it must be an object, not an array");
  check({ items: [] }, "`name` is missing");
  check({ name: null, items: [] }, "`name` must be a string, not null");
  check({ name: "a", note: 1, items: [] }, "`note` must be a string, not 1");
  check({ name: "a", items: {} }, "`items` must be an array, not an object");
  const natural = "`items[1].count` must be a whole number that is not negative, not";
  check({ name: "a", items: [{ count: 1 }, { count: -1 }] }, `${natural} -1`);
  check({ name: "a", items: [{ count: 1 }, { count: 1.5 }] }, `${natural} 1.5`);
  assert.throws(() => fields({ toString: "string" }).parse({}), /`toString` is missing/);
});

test("a shape that is none is refused at once", () => {
  assert.throws(() => fields({ name: "strng" }), /`name` in the shape is `strng`/);
  assert.throws(() => fields({ tags: [] }), /must hold one shape/);
  assert.throws(() => fields(undefined), /the shape is undefined/);
});
