// Messages in and out.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CloudEvent, Reply, draftToWire, noAnswer, replyToWire } from "../src/message.js";

const attributes = { id: "1", source: "/s", type: "t", extensions: [] };

function received(data) {
  return new CloudEvent({ ...attributes, data });
}

test("data are JSON, or a fault says what they are", () => {
  assert.deepEqual(received({ tag: "json", val: '{"a":1}' }).data, { a: 1 });
  assert.equal(received(undefined).data, null);
  assert.throws(() => received({ tag: "text", val: "x" }).data, { code: 400, message: /text/ });
  assert.throws(() => received({ tag: "binary", val: new Uint8Array() }).data, { code: 400, message: /binary/ });
  assert.throws(() => received({ tag: "json", val: "{" }).data, { code: 400, message: /^invalid data: / });
});

test("half of a surrogate pair is no text", () => {
  for (const json of ['["\\ud800"]', '{"\\uDC00": 1}', '"\\ud800\\ud800"']) {
    assert.throws(() => received({ tag: "json", val: json }).data, { code: 400, message: /half of a surrogate pair/ });
  }
  for (const json of ['{"\\uD83D\\ude80": ["\\ud83d\\ude80"]}', '"\\\\ud800"']) {
    assert.deepEqual(received({ tag: "json", val: json }).data, JSON.parse(json));
  }
});

test("extensions keep their types", () => {
  const extensions = { number: 7, yes: true, text: "seven" };
  const wire = draftToWire({ type: "t", extensions });
  assert.deepEqual(new CloudEvent({ ...attributes, extensions: wire.extensions }).extensions, extensions);
});

test("what a handler returns is answered", () => {
  assert.deepEqual(replyToWire({ a: 1 }).data, { tag: "json", val: '{"a":1}' });
  assert.deepEqual(replyToWire(undefined).data, { tag: "json", val: "null" });
  assert.equal(replyToWire(noAnswer), undefined);
  assert.equal(replyToWire(new Reply()).data, undefined);
  assert.deepEqual(replyToWire(new Reply({ json: "12345678901234567890123" })).data.val, "12345678901234567890123");
  assert.throws(() => replyToWire(() => 1), { code: 500, message: /^the answer is no JSON: / });
});

test("a draft that cannot be sent says why", () => {
  const check = (draft, message) => assert.throws(() => draftToWire(draft), { kind: "invalid", message });
  check({}, /the type of a message is missing/);
  check({ type: "t", subject: 5 }, /subject must be a string, not 5/);
  check({ type: "t", sujbect: "s" }, /has no `sujbect`/);
  check({ type: "t", data: 1, text: "x" }, /not data and text/);
  check({ type: "t", binary: [1] }, /Uint8Array/);
  check({ type: "t", data: 1n }, /BigInt/);
  for (const value of [1.5, 2 ** 31, NaN, null, {}]) check({ type: "t", extensions: { a: value } }, /extension `a`/);
});
