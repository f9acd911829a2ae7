/** The `[config]` of the plugin's policy; it does not change while a version runs. */
import { get, keys } from "conche:handler/config@0.1.0";

import { checkText } from "./check.js";
import { ConfigError, messageOf } from "./errors.js";
import { needHost } from "./host.js";

export const config = {
  get(key) {
    needHost("config.get");
    return get(checkText("the key", key)) ?? undefined;
  },

  keys() {
    needHost("config.keys");
    return [...keys()];
  },

  parse(key, read) {
    const value = config.get(key);
    if (value === undefined) return undefined;
    try {
      return read(value);
    } catch (error) {
      throw new ConfigError(key, messageOf(error), { cause: error });
    }
  },

  integer(key, { least = -Infinity, most = Infinity } = {}) {
    return config.parse(key, (text) => readInteger(text, least, most));
  },
};

function readInteger(text, least, most) {
  const number = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) throw new Error(`\`${text}\` is no whole number`);
  if (number < least) throw new Error(`${text} is less than ${least}`);
  if (number > most) throw new Error(`${text} is more than ${most}`);
  return number;
}
