/**
 * How a handler fails and how a message it sends can fail, and which of the two follows from the
 * other: a `SendError` that nobody catches becomes a fault or a retry. Pure.
 */
import { checkKeys, checkMilliseconds, kind, wellFormed } from "./check.js";

/** Where a fault from elsewhere keeps its details as they came, for whoever passes it on. */
const RAW = Symbol("details as they came");

export class Fault extends Error {
  constructor(code, message, options = {}) {
    checkKeys("the options of a fault", options, ["details", "cause"]);
    if (!Number.isInteger(code) || code < 1 || code > 0xffff) {
      throw new RangeError(`the code of a fault must be a whole number as HTTP has it, not ${kind(code)}`);
    }
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.details = options.details;
  }
}

export class Reject extends Fault {}

export class Retry extends Error {
  constructor(message, options = {}) {
    checkKeys("the options of a retry", options, ["afterMs", "cause"]);
    super(message, options);
    this.name = "Retry";
    this.afterMs = checkMilliseconds("afterMs", options.afterMs);
  }
}

export class ConfigError extends Error {
  constructor(key, reason, options) {
    super(`\`${key}\` in [config]: ${reason}`, options);
    this.name = "ConfigError";
    this.key = key;
  }
}

/** What each kind says before its own text, and the code it has as a fault. */
const KINDS = {
  "refused": ["", 500],
  "over-budget": ["over budget: ", 500],
  "invalid": ["invalid message: ", 500],
  "no-responders": ["nobody answers", 503],
  "timed-out": ["timed out", 504],
  "busy": ["busy", 503],
  "remote": ["the other side failed: ", 500],
  "other": ["", 500],
};

export class SendError extends Error {
  constructor(kind, text = "", fault = undefined) {
    const said = fault ? withCode(fault) : text;
    super(KINDS[kind][0] + said);
    this.name = "SendError";
    this.kind = kind;
    this.fault = fault;
  }

  /** Calls a function of the host, whose errors are objects with the WIT value as payload. */
  static from(call) {
    try {
      return call();
    } catch (error) {
      const payload = error?.payload ?? error;
      throw KINDS[payload?.tag] ? SendError.of(payload) : error;
    }
  }

  static of({ tag, val }) {
    return tag === "remote" ? new SendError(tag, "", faultOf(val)) : new SendError(tag, val ?? "");
  }
}

/** The text of whatever was thrown. */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

function withCode({ message, code }) {
  return `${message} (code ${code})`;
}

/** A fault from the wire. */
function faultOf({ code, message, details }) {
  const fault = new Fault(code, message, { details: detailsOf(details) });
  fault[RAW] = details ?? undefined;
  return fault;
}

function detailsOf(payload) {
  if (payload?.tag !== "json") return payload?.val;
  try {
    return JSON.parse(payload.val);
  } catch {
    return payload.val;
  }
}

function faultToWire(fault) {
  return {
    code: fault.code,
    message: wellFormed(String(fault.message)),
    details: fault[RAW] ?? detailsToWire(fault.details),
  };
}

/** What JSON cannot express is left out: a fault must not fail. */
function detailsToWire(details) {
  try {
    const val = JSON.stringify(details);
    return val === undefined ? undefined : { tag: "json", val };
  } catch {
    return undefined;
  }
}

function retryToWire(message, afterMs) {
  return { tag: "retry", val: { message: wellFormed(String(message)), afterMs } };
}

/** The fault in a send error: the other side's own, else what its kind says. */
function sendErrorToWire(error) {
  return faultToWire(error.fault ?? new Fault(KINDS[error.kind][1], error.message));
}

/** What the asker gets of what a query handler threw. `uncaught` is told of what nobody foresaw. */
export function toFault(error, uncaught) {
  if (error instanceof Fault) return faultToWire(error);
  if (error instanceof Retry) return faultToWire(new Fault(503, error.message)); // a query cannot come again
  if (error instanceof SendError) return sendErrorToWire(error);
  if (error instanceof ConfigError) return faultToWire(new Fault(500, error.message));
  uncaught(error);
  return faultToWire(new Fault(500, `the handler failed: ${messageOf(error)}`));
}

/** What becomes of the event whose handler threw. `uncaught` is told of what nobody foresaw. */
export function toEventError(error, uncaught) {
  if (error instanceof Retry) return retryToWire(error.message, error.afterMs);
  if (error instanceof Reject) return { tag: "reject", val: faultToWire(error) };
  if (error instanceof Fault) return faultToEventError(error);
  if (error instanceof SendError) return sendErrorToEventError(error);
  if (error instanceof ConfigError) return retryToWire(error.message);
  uncaught(error);
  return retryToWire(`the handler failed: ${messageOf(error)}`);
}

/** By its code: 5xx is retried, all else is rejected. */
function faultToEventError(fault) {
  return fault.code >= 500 ? retryToWire(withCode(fault)) : { tag: "reject", val: faultToWire(fault) };
}

/** Rejected if the same would happen again (not granted, invalid, a 4xx fault), else retried. */
function sendErrorToEventError(error) {
  if (error.fault) return faultToEventError(error.fault);
  if (error.kind === "refused" || error.kind === "invalid") return { tag: "reject", val: sendErrorToWire(error) };
  return retryToWire(error.message);
}
