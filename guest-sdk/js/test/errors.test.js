// What a thrown error becomes, with the same words as in every other SDK.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ConfigError, Fault, Reject, Retry, SendError, toEventError, toFault } from "../src/errors.js";

const never = () => assert.fail("nobody should be told");

/** The code it has as a fault, and what becomes of an event. */
function check(tag, val, code, tagOfEvent, message) {
  const error = SendError.of({ tag, val });
  assert.equal(toFault(error, never).code, code);
  const outcome = toEventError(error, never);
  assert.equal(outcome.tag, tagOfEvent);
  assert.equal(outcome.val.message, message);
}

test("send errors pass on what repeating would do", () => {
  check("refused", 'emit = ["a"]', 500, "reject", 'emit = ["a"]');
  check("invalid", "empty type", 500, "reject", "invalid message: empty type");
  check("over-budget", "emits", 500, "retry", "over budget: emits");
  check("no-responders", undefined, 503, "retry", "nobody answers");
  check("busy", undefined, 503, "retry", "busy");
  check("timed-out", undefined, 504, "retry", "timed out");
  check("remote", { code: 404, message: "no such order" }, 404, "reject", "no such order");
  check("remote", { code: 500, message: "down" }, 500, "retry", "down (code 500)");
  check("other", "odd", 500, "retry", "odd");
});

test("details of another side's fault are passed on as they came", () => {
  const details = { tag: "json", val: '{"n":12345678901234567890123}' };
  const error = SendError.of({ tag: "remote", val: { code: 409, message: "m", details } });
  assert.equal(error.fault.details.n, 12345678901234567890123);
  assert.deepEqual(toFault(error, never).details, details);
});

test("a fault is a retry or a reject by its code, a reject whatever its code", () => {
  assert.equal(toEventError(new Fault(503, "no"), never).val.message, "no (code 503)");
  assert.equal(toEventError(new Fault(404, "no"), never).tag, "reject");
  assert.equal(toEventError(new Reject(503, "no"), never).tag, "reject");
  const retry = toEventError(new Retry("later", { afterMs: 1500.4 }), never);
  assert.deepEqual(retry, { tag: "retry", val: { message: "later", afterMs: 1500 } });
});

test("a query cannot come again: a retry is a fault 503", () => {
  const { code, message } = toFault(new Retry("later", { afterMs: 1500 }), never);
  assert.deepEqual([code, message], [503, "later"]);
});

test("configuration that cannot be read is retried until it can", () => {
  const error = new ConfigError("retries", "`x` is no whole number");
  assert.equal(toFault(error, never).code, 500);
  assert.equal(toEventError(error, never).val.message, "`retries` in [config]: `x` is no whole number");
});

test("what nobody foresaw is told and answered with its message", () => {
  const told = [];
  const fault = toFault(new TypeError("x is null"), (error) => told.push(error.message));
  assert.deepEqual([fault.code, fault.message], [500, "the handler failed: x is null"]);
  assert.equal(toEventError("text", (error) => told.push(error)).val.message, "the handler failed: text");
  assert.deepEqual(told, ["x is null", "text"]);
});

test("what the contract cannot carry is refused", () => {
  assert.throws(() => new Fault(1.5, "m"), RangeError);
  assert.throws(() => new Fault(70000, "m"), RangeError);
  assert.throws(() => new Fault(400, "m", { detials: 1 }), /has no `detials`/);
  assert.throws(() => new Retry("m", { afterMs: -1 }), TypeError);
  assert.equal(new Retry("m", { afterMs: Infinity }).afterMs, 0xffffffff);
});
