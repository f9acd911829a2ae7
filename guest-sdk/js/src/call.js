/** Facts about the call in progress. */
import { attempt, hops, idempotencyKey, remainingMs } from "conche:handler/call@0.1.0";

import { needHost } from "./host.js";

function fact(name, ask) {
  needHost(`call.${name}`);
  return ask();
}

export const call = {
  get attempt() {
    return fact("attempt", attempt);
  },
  get idempotencyKey() {
    return fact("idempotencyKey", idempotencyKey);
  },
  get remainingMs() {
    return fact("remainingMs", remainingMs);
  },
  get hops() {
    return fact("hops", hops);
  },
};
