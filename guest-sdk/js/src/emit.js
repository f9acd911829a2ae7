/** Events kept back until the handler succeeds. There only with `uses = ["emit"]`. */
import { emit as send } from "conche:handler/emit@0.1.0";

import { SendError } from "./errors.js";
import { needHost } from "./host.js";
import { draftToWire } from "./message.js";

export function emit(draft) {
  needHost("emit");
  const wire = draftToWire(draft);
  return SendError.from(() => send(wire));
}
