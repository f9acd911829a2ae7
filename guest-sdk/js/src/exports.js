/** What the component exports: the host's calls, handed to the author's functions. */
import * as registration from "conche:handler/registration@0.1.0";

import { wellFormed } from "./check.js";
import { Fault, Reject, messageOf, toEventError, toFault } from "./errors.js";
import { enter } from "./host.js";
import { log } from "./log.js";
import { CloudEvent, replyToWire } from "./message.js";
import { find, tell } from "./registry.js";
import { stackOf } from "./stack.js";
import { settle } from "./waiting.js";

export const lifecycle = {
  register() {
    enter({ loading: true });
    const refuse = (error) => {
      throw wellFormed(messageOf(error));
    };
    return settle(() => Promise.all(tell(registration)), () => undefined, refuse);
  },
};

export const queryHandler = {
  handle(matched, wire) {
    enter();
    const fail = (error) => {
      throw toFault(error, report);
    };
    return settle(() => run("query", matched, wire), replyToWire, fail);
  },
};

export const eventHandler = {
  handle(matched, wire) {
    enter();
    const fail = (error) => {
      throw toEventError(error, report);
    };
    return settle(() => run("event", matched, wire), () => undefined, fail);
  },
};

function run(role, matched, wire) {
  const { handler, raw, options } = find(role, matched.handler);
  const message = new CloudEvent(wire, matched);
  return raw ? handler(message) : handler(read(message, options), message);
}

/** Data that does not fit would not fit the next time either: never a retry, whatever the code. */
function read(message, options) {
  try {
    const { data } = message;
    return options.parse ? options.parse(data) : data;
  } catch (error) {
    if (error instanceof Fault) throw new Reject(error.code, error.message, { details: error.details, cause: error });
    throw new Reject(400, `invalid data: ${messageOf(error)}`, { cause: error });
  }
}

/** For the author: what the asker and the host's retry do not tell. */
function report(error) {
  const fields = { error: messageOf(error) };
  const stack = stackOf(error);
  if (stack) fields.stack = stack;
  log.error("the handler failed", fields);
}
