/**
 * What every plugin may use. `conche build` adds `emit`, `request`, `requestAll`, `exchange` and
 * `listeners`, as far as `uses` in `conche-plugin.toml` names them: a JavaScript component imports
 * all that its world has, and so must not have what the plugin does not use.
 *
 * The documentation of each is in `index.d.ts`, where editors look.
 */
export { call } from "./call.js";
export { config } from "./config.js";
export { ConfigError, Fault, Reject, Retry, SendError } from "./errors.js";
export { fields } from "./fields.js";
export { log } from "./log.js";
export { CloudEvent, Reply, noAnswer } from "./message.js";
export { anyEvent, anyQuery, event, listener, query, register, reusable } from "./registry.js";
