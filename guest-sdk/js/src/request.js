/** Questions asked now. There only with `uses = ["request"]`. */
import { request as ask, requestAll as askAll } from "conche:handler/request@0.1.0";

import { checkKeys, checkMilliseconds } from "./check.js";
import { SendError } from "./errors.js";
import { needHost } from "./host.js";
import { CloudEvent, draftToWire } from "./message.js";

export function request(query, options = {}) {
  needHost("request");
  const wire = draftToWire(query);
  const timeout = timeoutOf(options);
  return new CloudEvent(SendError.from(() => ask(wire, timeout)));
}

export function requestAll(queries, options = {}) {
  needHost("requestAll");
  const wire = queries.map(draftToWire);
  return askAll(wire, timeoutOf(options)).map(({ tag, val }) =>
    tag === "ok"
      ? { status: "fulfilled", value: new CloudEvent(val) }
      : { status: "rejected", reason: SendError.of(val) },
  );
}

function timeoutOf(options) {
  checkKeys("the options of a request", options, ["timeoutMs"]);
  return checkMilliseconds("timeoutMs", options.timeoutMs);
}
