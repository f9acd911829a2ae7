/**
 * Promises whose queue this SDK can run. QuickJS runs its own only between calls of the host, too
 * late for an answer; so `conche build` lets esbuild write async functions with `Promise`, and this
 * is that. Follows ECMAScript: states, order of reactions, adoption of thenables. Pure.
 */
const queue = [];
const later = globalThis.queueMicrotask;
let draining = false;

export function queueMicrotask(job) {
  queue.push(job);
  // While the plugin is built, nobody else calls `drain`.
  if (queue.length === 1 && !draining) later(drain);
}

/** Runs until there is nothing left to do. */
export function drain() {
  if (draining) return;
  draining = true;
  try {
    for (let next = 0; next < queue.length; next++) {
      const job = queue[next];
      // What ran is let go, so that a long chain does not keep all of it.
      queue[next] = undefined;
      job();
    }
  } finally {
    queue.length = 0;
    draining = false;
  }
}

export class Promise {
  #state = "pending";
  #value;
  #reactions = [];

  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("a promise needs a function");
    const { resolve, reject } = this.#resolvers();
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  /** Only the first call of either counts. */
  #resolvers() {
    let called = false;
    const once = (settle) => (value) => {
      if (called) return;
      called = true;
      settle(value);
    };
    return { resolve: once((value) => this.#resolve(value)), reject: once((error) => this.#settle("rejected", error)) };
  }

  #resolve(value) {
    if (value === this) return this.#settle("rejected", new TypeError("a promise cannot wait for itself"));
    if ((typeof value !== "object" && typeof value !== "function") || value === null) return this.#settle("fulfilled", value);
    let then;
    try {
      then = value.then;
    } catch (error) {
      return this.#settle("rejected", error);
    }
    if (typeof then !== "function") return this.#settle("fulfilled", value);
    queueMicrotask(() => {
      const { resolve, reject } = this.#resolvers();
      try {
        then.call(value, resolve, reject);
      } catch (error) {
        reject(error);
      }
    });
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    for (const reaction of this.#reactions) this.#react(reaction);
    this.#reactions = undefined;
  }

  #react({ onFulfilled, onRejected, resolve, reject }) {
    queueMicrotask(() => {
      const isFulfilled = this.#state === "fulfilled";
      const handler = isFulfilled ? onFulfilled : onRejected;
      if (typeof handler !== "function") return isFulfilled ? resolve(this.#value) : reject(this.#value);
      try {
        resolve(handler(this.#value));
      } catch (error) {
        reject(error);
      }
    });
  }

  then(onFulfilled, onRejected) {
    const Species = this.constructor?.[Symbol.species] ?? Promise;
    const { promise, resolve, reject } = Promise.withResolvers.call(Species);
    const reaction = { onFulfilled, onRejected, resolve, reject };
    if (this.#state === "pending") this.#reactions.push(reaction);
    else this.#react(reaction);
    return promise;
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(onFinally) {
    if (typeof onFinally !== "function") return this.then(onFinally, onFinally);
    const Own = this.constructor;
    return this.then(
      (value) => Own.resolve(onFinally()).then(() => value),
      (error) =>
        Own.resolve(onFinally()).then(() => {
          throw error;
        }),
    );
  }

  static get [Symbol.species]() {
    return this;
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static withResolvers() {
    let resolve, reject;
    const promise = new this((...both) => ([resolve, reject] = both));
    return { promise, resolve, reject };
  }

  static resolve(value) {
    return value instanceof Promise && value.constructor === this ? value : new this((resolve) => resolve(value));
  }

  static reject(error) {
    return new this((_, reject) => reject(error));
  }

  static try(run, ...args) {
    return new this((resolve) => resolve(run(...args)));
  }

  static race(promises) {
    return new this((resolve, reject) => {
      for (const promise of promises) this.resolve(promise).then(resolve, reject);
    });
  }

  static all(promises) {
    return new this((resolve, reject) => {
      gather(this, promises, (promise, keep) => promise.then(keep, reject), resolve);
    });
  }

  static allSettled(promises) {
    return new this((resolve) => {
      const attach = (promise, keep) =>
        promise.then(
          (value) => keep({ status: "fulfilled", value }),
          (reason) => keep({ status: "rejected", reason }),
        );
      gather(this, promises, attach, resolve);
    });
  }

  static any(promises) {
    return new this((resolve, reject) => {
      const none = (errors) => reject(new AggregateError(errors, "all promises were rejected"));
      gather(this, promises, (promise, keep) => promise.then(resolve, keep), none);
    });
  }
}

/** Keeps what each promise comes to, in their order; `done` gets it once there is something of all. */
function gather(Own, promises, attach, done) {
  const kept = [];
  let open = 1;
  const close = () => {
    if (--open === 0) done(kept);
  };
  let count = 0;
  for (const promise of promises) {
    const index = count++;
    open++;
    attach(Own.resolve(promise), (value) => {
      kept[index] = value;
      close();
    });
  }
  close();
}
