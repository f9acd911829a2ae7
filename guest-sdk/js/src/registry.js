/**
 * What the plugin hears and which functions handle it. The author's module fills it while the plugin
 * is built; every instance begins with it filled.
 */
import { checkKeys, checkNeededText, checkTexts, kind } from "./check.js";

const ROLES = {
  query: { handlers: new Map(), registrations: [] },
  event: { handlers: new Map(), registrations: [] },
};
const hooks = [];
let isReusable = false;

export function reusable() {
  isReusable = true;
}

export function register(hook) {
  checkFunction("register", hook);
  hooks.push(hook);
}

/** `query(ops, handler)`, `query(ops, options, handler)`; `query.raw` for a handler of the whole message. */
export const query = bothForms((raw, ops, ...rest) => {
  const all = checkTexts("the ops of a query", [ops].flat());
  const name = add("query", `query "${all[0]}"`, all[0], raw, rest);
  ROLES.query.registrations.push((host) => all.forEach((op) => host.onQuery(name, op)));
});

export const anyQuery = bothForms((raw, ...rest) => {
  const name = add("query", "anyQuery", "any-query", raw, rest);
  ROLES.query.registrations.push((host) => host.onAnyQuery(name));
});

export const event = bothForms((raw, types, ...rest) => {
  const all = checkTexts("the types of an event", [types].flat());
  const name = add("event", `event "${all[0]}"`, all[0], raw, rest);
  if (all.length > 0) ROLES.event.registrations.push((host) => host.onEvent(name, all));
});

export const anyEvent = bothForms((raw, ...rest) => {
  const name = add("event", "anyEvent", "any-event", raw, rest);
  ROLES.event.registrations.push((host) => host.onAnyEvent(name));
});

export const listener = bothForms((raw, ...rest) => {
  const name = add("event", "listener", undefined, raw, rest);
  ROLES.event.registrations.push((host) => host.onListener(name));
});

function bothForms(register) {
  return Object.assign((...args) => register(false, ...args), { raw: (...args) => register(true, ...args) });
}

/** Adds a handler; answers its name. `fallback` is the name of one that has none. */
function add(role, what, fallback, raw, rest) {
  const [options, handler] = rest.length > 1 ? rest : [{}, rest[0]];
  checkFunction(what, handler);
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${what}: the options must be an object, not ${kind(options)}`);
  }
  if (raw) checkKeys(`${what}: the options of a raw handler`, options, ["name"]);
  if (options.parse !== undefined) checkFunction(`${what}: parse`, options.parse);
  const given = typeof options.name === "string" ? options.name : handler.name;
  const name = given || fallback;
  if (!name) throw new TypeError(`${what}: the handler has no name: write a named function, or { name: "..." } before it`);
  const { handlers } = ROLES[role];
  const other = handlers.get(name);
  if (other && other.handler !== handler) {
    throw new Error(`two ${role} handlers are named \`${name}\`: give one another name, { name: "..." } before its function`);
  }
  handlers.set(name, { handler, raw, options });
  return name;
}

function checkFunction(what, value) {
  if (typeof value !== "function") throw new TypeError(`${what} needs a function, not ${kind(value)}`);
}

/** The handler of a role by its name. */
export function find(role, name) {
  const found = ROLES[role].handlers.get(name);
  if (!found) throw new Error(`no ${role} handler is named \`${name}\`: register one of this name`);
  return found;
}

/** Throws if the plugin handles what its component would not export. */
export function checkKind(kind) {
  for (const role of ["query", "event"]) {
    if (kind !== role && kind !== "both" && ROLES[role].handlers.size > 0) {
      throw new Error(
        `the plugin registers a handler of ${role === "query" ? "queries" : "events"}, and conche-plugin.toml says kind = "${kind}": write kind = "both"`,
      );
    }
  }
}

/** Tells the host everything; runs the author's hooks last. Answers what they return. */
export function tell(host) {
  for (const { registrations } of Object.values(ROLES)) registrations.forEach((one) => one(host));
  if (isReusable) host.reusable();
  const registration = registrationOf(host);
  return hooks.map((hook) => hook(registration));
}

/** What a hook may register beside: handlers that are known, by their names. */
function registrationOf(host) {
  const known = (role, name) => {
    find(role, name);
    return name;
  };
  return {
    query: (name, op) => host.onQuery(known("query", name), checkNeededText("the op", op)),
    anyQuery: (name) => host.onAnyQuery(known("query", name)),
    event: (name, types) => host.onEvent(known("event", name), checkTexts("the types", [types].flat())),
    anyEvent: (name) => host.onAnyEvent(known("event", name)),
    listener: (name) => host.onListener(known("event", name)),
  };
}
