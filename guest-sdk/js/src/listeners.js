/** Listeners that a handler adds while it runs. There only with `uses = ["listeners"]`. */
import { add, remove } from "conche:handler/listeners@0.1.0";

import { checkKeys, checkMilliseconds, checkNeededText, checkText, checkTexts } from "./check.js";
import { SendError, messageOf } from "./errors.js";
import { needHost } from "./host.js";

const LISTENER = ["handler", "types", "transactionId", "once", "state", "expiresMs"];

export const listeners = {
  add(listener) {
    needHost("listeners.add");
    const wire = toWire(listener);
    return SendError.from(() => add(wire));
  },

  remove(id) {
    needHost("listeners.remove");
    const wire = checkNeededText("the id of a listener", id);
    SendError.from(() => remove(wire));
  },
};

function toWire(listener) {
  try {
    checkKeys("a listener", listener, LISTENER);
    return {
      handler: checkNeededText("the handler of a listener", listener.handler),
      types: checkTexts("the types of a listener", [listener.types ?? []].flat()),
      transactionId: checkText("transactionId", listener.transactionId),
      once: Boolean(listener.once),
      state: checkText("state", listener.state) ?? "",
      expiresMs: checkMilliseconds("expiresMs", listener.expiresMs),
    };
  } catch (error) {
    throw new SendError("invalid", messageOf(error));
  }
}
