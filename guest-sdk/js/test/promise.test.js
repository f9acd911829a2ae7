// The SDK's promises do what the engine's own do, in the same order.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Promise as Own, drain } from "../src/promise.js";

/** Runs it with both and compares what it wrote down. */
async function check(run) {
  const [own, native] = [[], []];
  run(Own, own);
  drain();
  run(Promise, native);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(own, native);
  assert.notEqual(own.length, 0);
}

test("reactions run in order", () =>
  check((P, said) => {
    const first = P.resolve(1);
    first.then((value) => said.push(["a", value])).then(() => said.push("c"));
    first.then(() => said.push("b"));
    new P((resolve) => resolve(P.resolve(2))).then((value) => said.push(["adopted", value]));
    P.resolve().then(() => said.push(1)).then(() => said.push(2)).then(() => said.push(3)).then(() => said.push(4));
    said.push("sync");
  }));

test("errors go to who handles them", () =>
  check((P, said) => {
    P.reject(new Error("x")).then(() => said.push("never")).catch((error) => said.push(error.message));
    new P(() => { throw "thrown"; }).finally(() => said.push("finally")).catch((error) => said.push(error));
    P.resolve(1).finally(() => 2).then((value) => said.push(value));
    P.resolve({ then: (resolve, reject) => { reject("thenable"); resolve(1); } }).catch((error) => said.push(error));
    new P((resolve, reject) => { resolve(1); reject(2); throw 3; }).then((value) => said.push(value));
    const self = P.resolve().then(() => self);
    self.catch((error) => said.push(error instanceof TypeError));
  }));

test("of several", () =>
  check((P, said) => {
    P.all([1, P.resolve(2)]).then((values) => said.push(values));
    P.all([]).then((values) => said.push(values));
    P.all([P.reject("no"), 1]).catch((error) => said.push(error));
    P.allSettled([1, P.reject(2)]).then((values) => said.push(values));
    P.race([P.resolve(1), 2]).then((value) => said.push(value));
    P.any([P.reject(1), 2]).then((value) => said.push(value));
    P.any([P.reject(1)]).catch((error) => said.push(error.errors));
  }));

test("a job runs once", () => {
  const said = [];
  Own.resolve().then(() => said.push(1));
  drain();
  drain();
  assert.deepEqual(said, [1]);
});
