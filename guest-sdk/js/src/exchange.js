/** An event published now, for the event that answers it. There only with `uses = ["exchange"]`. */
import { exchange as send } from "conche:handler/exchange@0.1.0";

import { checkKeys, checkMilliseconds, checkTexts } from "./check.js";
import { SendError } from "./errors.js";
import { needHost } from "./host.js";
import { CloudEvent, draftToWire } from "./message.js";

export function exchange(event, answerTypes, options = {}) {
  needHost("exchange");
  const wire = draftToWire(event);
  const types = checkTexts("the types of an exchange's answer", [answerTypes].flat());
  checkKeys("the options of an exchange", options, ["timeoutMs"]);
  const timeout = checkMilliseconds("timeoutMs", options.timeoutMs);
  return new CloudEvent(SendError.from(() => send(wire, types, timeout)));
}
