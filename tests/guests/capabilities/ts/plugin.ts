// Every capability of the SDK once, as the cases in `../tests` want it.
import {
  type CloudEvent, type Draft, Fault, type Parsed, Reject, Reply, type ReplyParts, Retry, anyEvent, anyQuery, call, config,
  emit, event, exchange, fields, listener, listeners, log, noAnswer, query, register, request, requestAll, reusable,
} from "@conche/guest";

const QUERIES = "cyverse.capabilities.";
const EVENTS = "org.cyverse.events.capabilities.";
const SOON = { timeoutMs: 200 };

reusable();

const tell = (data: Omit<Draft, "type">) => emit({ type: `${EVENTS}Told`, ...data });

// ---- whole messages ----

/** What a message consists of, beside its type and its transaction. */
function parts({ subject, datacontenttype, dataschema, extensions, json, text, binary }: CloudEvent): ReplyParts {
  return { subject, datacontenttype, dataschema, extensions, json, text, binary };
}

query.raw(`${QUERIES}Echo`, function echo(message) {
  return new Reply({ ...parts(message), type: "cyverse.capabilities.Echoed" });
});

query(`${QUERIES}Silence`, function silence() {
  return noAnswer;
});

event.raw(`${EVENTS}Copy`, function copy(message) {
  emit({ ...parts(message), type: `${EVENTS}Copied`, transactionId: "tid-of-the-copy", key: "copy" });
  emit({ type: `${EVENTS}Bare` });
});

anyQuery(function rest(_, { type }) {
  return { rest: type };
});

anyEvent(function tell_rest(_, { type }) {
  tell({ data: { rest: type } });
});

// ---- the host ----

function factsOf({ handler }: CloudEvent) {
  const { attempt, idempotencyKey, hops, remainingMs } = call;
  return { handler, attempt, idempotency_key: idempotencyKey, hops, in_time: remainingMs > 0 };
}

query(`${QUERIES}Facts`, function facts(_, message) {
  return factsOf(message);
});

event(`${EVENTS}Facts`, function tell_facts(_, message) {
  tell({ data: factsOf(message) });
});

query(`${QUERIES}Config`, function configuration() {
  const value = (key: string) => config.get(key) ?? null;
  return { keys: config.keys(), colour: value("colour"), taste: value("taste"), limit: config.integer("limit", { least: 0 }) ?? null };
});

query(`${QUERIES}Log`, function lines() {
  log.trace("one", { n: 1, word: "Zoë" });
  log.debug("two", { n: "2" });
  log.info("three");
  log.warn("four");
  log.error("five");
  log.critical("six");
});

query.raw([], { name: "late" }, function handlerAlone({ handler }) {
  return { handler };
});

register((registration) => {
  const refuse = config.get("refuse");
  if (refuse) throw new Error(refuse);
  const op = config.get("op");
  if (op) registration.query(config.get("handler") ?? "late", op);
});

// ---- sending ----

function askBySubject({ subject = "", json }: CloudEvent): CloudEvent {
  return request({ type: subject, subject: "asked", json }, SOON);
}

query.raw(`${QUERIES}Ask`, function ask(message) {
  return new Reply(parts(askBySubject(message)));
});

event.raw(`${EVENTS}Ask`, function tell_answer(message) {
  tell({ json: askBySubject(message).json });
});

query(`${QUERIES}AskAll`, function ask_all() {
  const queries = [
    { type: "cyverse.users.Get", data: { id: 1 } },
    { type: "cyverse.users.Get", data: { id: 2 } },
    { type: "cyverse.secrets.Get" },
    { type: "cyverse.users.Count" },
  ];
  return requestAll(queries, SOON).map((one) =>
    one.status === "fulfilled" ? { value: one.value.data } : { error: one.reason.message },
  );
});

query(`${QUERIES}Exchange`, function exchange_one(data) {
  const answer = exchange({ type: `${EVENTS}Asked`, data }, [`${EVENTS}No`, `${EVENTS}Yes`], SOON);
  return { type: answer.type, answer: answer.data };
});

const Emit = fields({ type: "string", times: "natural" });

function emit_some({ type, times }: Parsed<typeof Emit>): { ids: string[] } {
  return { ids: Array.from({ length: times }, () => emit({ type })) };
}

query(`${QUERIES}Emit`, Emit, emit_some);

event(`${EVENTS}Emit`, Emit, function emit_on_event(ask) {
  emit_some(ask);
});

// ---- listeners ----

const Listen = fields({ handler: "string", "by_transaction?": "boolean" });

function listen({ handler, by_transaction }: Parsed<typeof Listen>): { id: string } {
  if (!by_transaction) return { id: listeners.add({ handler, types: `${EVENTS}Yes` }) };
  const id = listeners.add({
    handler,
    types: [`${EVENTS}Yes`, `${EVENTS}No`],
    transactionId: "tid-of-another",
    once: true,
    state: "where it stopped: Zoë",
    expiresMs: 5000,
  });
  listeners.remove("listener-old");
  return { id };
}

query(`${QUERIES}Listen`, Listen, listen);

event(`${EVENTS}Listen`, Listen, function listen_on_event(ask) {
  listen(ask);
});

listener(function heard(data, { handler, listener, state }) {
  tell({ data: { handler, listener, state, data } });
});

// ---- errors ----

const Fail = fields({ how: "string", code: "natural" });

function fail({ how, code }: Parsed<typeof Fail>): never {
  switch (how) {
    case "reject":
      throw new Reject(code, "will never work");
    case "retry":
      throw new Retry("not there yet");
    case "retry-after":
      throw new Retry("not there yet", { afterMs: 1500 });
    default:
      throw new Fault(code, "not acceptable", { details: [{ field: "name" }] });
  }
}

query(`${QUERIES}Fail`, Fail, fail);
event(`${EVENTS}Fail`, Fail, fail);
