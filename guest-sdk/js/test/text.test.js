// The codecs against those of Node, and clones.
import assert from "node:assert/strict";
import { test } from "node:test";

import { structuredClone as clone } from "../src/clone.js";
import * as own from "../src/text.js";

test("text becomes the same bytes", () => {
  for (const text of ["", "abc", "é", "€", "🚀", "a\ud800b", "\udc00", "\ufeffx"]) {
    assert.deepEqual(new own.TextEncoder().encode(text), new TextEncoder().encode(text), text);
  }
  const [ours, theirs] = [new Uint8Array(4), new Uint8Array(4)];
  assert.deepEqual(new own.TextEncoder().encodeInto("a🚀é", ours), new TextEncoder().encodeInto("a🚀é", theirs));
  assert.deepEqual(ours, theirs);
});

test("bytes become the same text, legal or not", () => {
  // Every pair of bytes among those that matter, between two letters.
  const bytes = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff];
  for (const a of bytes) for (const b of bytes) for (const c of bytes) for (const d of bytes) {
    const input = Uint8Array.of(0x61, a, b, c, d, 0x62);
    const text = new TextDecoder().decode(input);
    // One assertion on a difference: a hundred thousand passing ones are slow.
    if (new own.TextDecoder().decode(input) !== text) assert.fail(`${input}`);
  }
  assert.throws(() => new own.TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.of(0xff)), TypeError);
  assert.equal(new own.TextDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "a");
  assert.throws(() => new own.TextDecoder("latin1"), RangeError);
  const long = "é".repeat(10_000);
  assert.equal(new own.TextDecoder().decode(new TextEncoder().encode(long)), long);
});

test("clones are equal and apart", () => {
  const value = { a: [1, { b: new Date(5) }], m: new Map([["k", new Set([1])]]), r: /x/g, u: new Uint8Array([1, 2]) };
  value.self = value;
  const copy = clone(value);
  assert.deepEqual(copy, value);
  assert.equal(copy.self, copy);
  copy.a[1].b = 1;
  assert.notEqual(value.a[1].b, 1);
  assert.throws(() => clone({ f() {} }), { name: "DataCloneError" });
});
