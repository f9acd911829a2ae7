/** The messages a plugin sees and sends, and their shapes in the WIT contract. Pure. */
import { checkAttribute, checkKeys, checkNeededText, checkText } from "./check.js";
import { Fault, SendError, messageOf } from "./errors.js";

/** What a query handler returns to stay silent. */
export const noAnswer = Symbol("no answer");

const DATA = ["data", "json", "text", "binary"];
const ATTRIBUTES = ["type", "subject", "datacontenttype", "dataschema", "extensions"];
const REPLY = [...ATTRIBUTES, ...DATA];
const DRAFT = [...ATTRIBUTES, "transactionId", "key", ...DATA];

/** A message as it was received. */
export class CloudEvent {
  /** `matched` is there in queries and events, not in the answers to requests. */
  constructor(wire, matched = {}) {
    this.id = wire.id;
    this.source = wire.source;
    this.type = wire.type;
    this.time = wire.time ?? undefined;
    this.subject = wire.subject ?? undefined;
    this.datacontenttype = wire.datacontenttype ?? undefined;
    this.dataschema = wire.dataschema ?? undefined;
    this.transactionId = wire.transactionId ?? undefined;
    this.extensions = Object.fromEntries(wire.extensions.map(({ name, value }) => [name, value.val]));
    const { tag, val } = wire.data ?? {};
    this.json = tag === "json" ? val : undefined;
    this.text = tag === "text" ? val : undefined;
    this.binary = tag === "binary" ? val : undefined;
    this.handler = matched.handler;
    this.listener = matched.listener ?? undefined;
    this.state = matched.state ?? undefined;
  }

  get data() {
    if (this.text !== undefined) throw new Fault(400, "the data is text, not JSON");
    if (this.binary !== undefined) throw new Fault(400, "the data is binary, not JSON");
    if (this.json === undefined) return null;
    try {
      return parse(this.json);
    } catch (error) {
      throw new Fault(400, `invalid data: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** Half of a surrogate pair would leave as U+FFFD: another text than the one that came. */
function parse(json) {
  return /\\ud[89a-f]/i.test(json) ? JSON.parse(json, checkWellFormed) : JSON.parse(json);
}

function checkWellFormed(key, value) {
  for (const text of [key, value]) {
    if (typeof text === "string" && !text.isWellFormed()) throw new SyntaxError("a string holds half of a surrogate pair");
  }
  return value;
}

/** An answer that holds more than data. */
export class Reply {
  constructor(parts = {}) {
    checkKeys("a reply", parts, REPLY);
    Object.assign(this, parts);
  }
}

/** What a query handler returned, as the contract has it. Nothing returned answers `null`. */
export function replyToWire(answer) {
  if (answer === noAnswer) return undefined;
  const { type, ...parts } = answer instanceof Reply ? answer : { data: answer ?? null };
  return { ...toWire(parts, noJson), type: checkText("the type of a reply", type) };
}

function noJson(reason) {
  return new Fault(500, `the answer is no JSON: ${reason}`);
}

/** A message to send, as the contract has it. */
export function draftToWire(draft) {
  try {
    checkKeys("a message", draft, DRAFT);
    const { type, transactionId, key, ...parts } = draft;
    return {
      ...toWire(parts, (reason) => new TypeError(reason)),
      type: checkNeededText("the type of a message", type),
      transactionId: checkText("transactionId", transactionId),
      key: checkText("key", key),
    };
  } catch (error) {
    throw new SendError("invalid", messageOf(error));
  }
}

/** What replies and drafts have in common. */
function toWire({ subject, datacontenttype, dataschema, extensions, ...data }, noJson) {
  return {
    subject: checkText("subject", subject),
    datacontenttype: checkText("datacontenttype", datacontenttype),
    dataschema: checkText("dataschema", dataschema),
    extensions: Object.entries(extensions ?? {})
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => ({ name, value: checkAttribute(`extension \`${name}\``, value) })),
    data: payloadToWire(data, noJson),
  };
}

function payloadToWire(data, noJson) {
  const given = DATA.filter((form) => data[form] !== undefined);
  if (given.length > 1) throw new TypeError(`a message has one of data, json, text and binary, not ${given.join(" and ")}`);
  switch (given[0]) {
    case "data":
      return { tag: "json", val: stringify(data.data, noJson) };
    case "json":
      return { tag: "json", val: checkText("json", data.json) };
    case "text":
      return { tag: "text", val: checkText("text", data.text) };
    case "binary":
      return { tag: "binary", val: checkBytes(data.binary) };
  }
}

function stringify(value, noJson) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw noJson(messageOf(error));
  }
  if (text === undefined) throw noJson(`a ${typeof value} has no JSON`);
  return text;
}

function checkBytes(value) {
  if (value instanceof Uint8Array) return value;
  throw new TypeError("binary must be a Uint8Array");
}
