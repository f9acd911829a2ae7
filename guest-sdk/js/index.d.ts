/**
 * Write plugins for the Conche host: functions with JSON in and out, and a line each that says what
 * they hear.
 *
 * ```js
 * import { fields, query, reusable } from "@conche/guest";
 *
 * reusable();
 *
 * query("cyverse.greeter.Greet", fields({ name: "string" }), function greet({ name }) {
 *   return { greeting: `Hello, ${name}!` };
 * });
 * ```
 *
 * All of it is told in `docs/languages/javascript.md`.
 */
/// <reference path="./globals.d.ts" />

// ---- what the plugin hears ----

/** Reads data before a handler sees it, and throws if it does not fit. Zod's schemas are of this form. */
export interface Schema<T> {
  parse(data: unknown): T;
}

/** What a schema makes of data. */
export type Parsed<S> = S extends Schema<infer T> ? T : never;

export interface Options<T> {
  /** Of the handler; without it the function's own name. It stands in logs, and in the ids of what the handler emits: keep it when the function is renamed. */
  name?: string;
  /** What throws is answered with a fault 400; an event is rejected with it. */
  parse?(data: unknown): T;
}

type Name = { name?: string };
type Ops = string | readonly string[];
type Later<T> = T | PromiseLike<T>;

/** Returns what is answered as JSON, a {@link Reply}, or {@link noAnswer}. May be async. */
export type QueryHandler<T> = (data: T, query: CloudEvent) => unknown;
/** May be async. What it throws says whether the event comes again. */
export type EventHandler<T> = (data: T, event: CloudEvent) => Later<void>;
export type RawQueryHandler = (query: CloudEvent) => unknown;
export type RawEventHandler = (event: CloudEvent) => Later<void>;

/** Answers these query ops. `query.raw` hands over the whole message, whatever its data. */
export const query: {
  <T>(ops: Ops, schema: Schema<T>, handler: QueryHandler<T>): void;
  <T = any>(ops: Ops, options: Options<T>, handler: QueryHandler<T>): void;
  <T = any>(ops: Ops, handler: QueryHandler<T>): void;
  raw(ops: Ops, options: Name, handler: RawQueryHandler): void;
  raw(ops: Ops, handler: RawQueryHandler): void;
};

/** The default: every query of the host's namespace that nothing else takes. */
export const anyQuery: {
  <T>(schema: Schema<T>, handler: QueryHandler<T>): void;
  <T = any>(options: Options<T>, handler: QueryHandler<T>): void;
  <T = any>(handler: QueryHandler<T>): void;
  raw(options: Name, handler: RawQueryHandler): void;
  raw(handler: RawQueryHandler): void;
};

/** Hears these event types. `event.raw` hands over the whole event, whatever its data. */
export const event: {
  <T>(types: Ops, schema: Schema<T>, handler: EventHandler<T>): void;
  <T = any>(types: Ops, options: Options<T>, handler: EventHandler<T>): void;
  <T = any>(types: Ops, handler: EventHandler<T>): void;
  raw(types: Ops, options: Name, handler: RawEventHandler): void;
  raw(types: Ops, handler: RawEventHandler): void;
};

/** The default: every event that no other registration of this plugin takes. */
export const anyEvent: {
  <T>(schema: Schema<T>, handler: EventHandler<T>): void;
  <T = any>(options: Options<T>, handler: EventHandler<T>): void;
  <T = any>(handler: EventHandler<T>): void;
  raw(options: Name, handler: RawEventHandler): void;
  raw(handler: RawEventHandler): void;
};

/** A handler that `listeners.add` may name. */
export const listener: typeof anyEvent;

/** One instance may serve many calls, one after the other: what a handler leaves in variables stays. Without it every call gets a fresh instance. */
export function reusable(): void;

/** Runs when the plugin is loaded, after all else is registered: to check the configuration, to register what depends on it. What it throws refuses the plugin, with the error's message. */
export function register(hook: (registration: Registration) => Later<void>): void;

/** Names handlers that are registered already, if need be without ops: `query([], function answer() { … })`. */
export interface Registration {
  query(handler: string, op: string): void;
  anyQuery(handler: string): void;
  event(handler: string, types: Ops): void;
  anyEvent(handler: string): void;
  listener(handler: string): void;
}

// ---- shapes of data ----

/** `integer` is whole, `natural` whole and not negative, `any` all but absent. */
export type Shape = "string" | "number" | "integer" | "natural" | "boolean" | "any" | readonly [Shape] | { readonly [field: string]: Shape };

/** What data of a shape is. */
export type Fields<S> = S extends "string"
  ? string
  : S extends "number" | "integer" | "natural"
    ? number
    : S extends "boolean"
      ? boolean
      : S extends "any"
        ? any
        : S extends readonly [infer Item]
          ? Fields<Item>[]
          : { [K in keyof S as K extends `${string}?` ? never : K]: Fields<S[K]> } & {
              [K in keyof S as K extends `${infer Name}?` ? Name : never]?: Fields<S[K]> | null;
            };

/** A schema by example: `fields({ name: "string", "age?": "natural", tags: ["string"] })`. A name that ends in `?` may be absent; fields that are not named pass. */
export function fields<const S extends Shape>(shape: S): Schema<Fields<S>>;

// ---- messages ----

/** What an extension attribute can hold: text, true or false, a 32-bit integer. */
export type Attribute = string | number | boolean;

/** A message as it was received: a query, an event, or the answer to a request. */
export class CloudEvent {
  private constructor();
  readonly id: string;
  /** A URI reference: who made it. */
  readonly source: string;
  /** The query's op or the event's type. */
  readonly type: string;
  /** The RFC 3339 text as it came. */
  readonly time?: string;
  readonly subject?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  /** Ties this message, its answers and its follow-up events together. */
  readonly transactionId?: string;
  readonly extensions: Record<string, Attribute>;
  /** The exact text of JSON data: digits and key order untouched. */
  readonly json?: string;
  /** Data of any other media type, if it is text. */
  readonly text?: string;
  /** Data that is neither. */
  readonly binary?: Uint8Array;
  /** JSON data, parsed anew each time; null if there is none. Throws a fault 400 if it is not JSON. */
  readonly data: any;
  /** The name of the handler whose registration matched; not in the answer to a request. */
  readonly handler?: string;
  /** The id that `listeners.add` answered, if one of them matched, and the state given there. */
  readonly listener?: string;
  readonly state?: string;
}

/** What a message holds: one of these, or none. */
interface Data {
  /** A value, written as JSON. */
  data?: unknown;
  /** JSON as text, sent as it is. */
  json?: string;
  /** Say in `datacontenttype` what it is. */
  text?: string;
  binary?: Uint8Array;
}

interface Attributes {
  subject?: string | null;
  datacontenttype?: string | null;
  dataschema?: string | null;
  extensions?: Record<string, Attribute | undefined>;
}

/** A message to send. The host adds id, source and time. */
export interface Draft extends Attributes, Data {
  /** The event's type or the query's op. */
  type: string;
  /** Without it, that of the call in progress. */
  transactionId?: string | null;
  /** Names this message within the call: when the call is tried again, the message with the same key goes out under the same id, whatever it then holds. */
  key?: string | null;
}

export interface ReplyParts extends Attributes, Data {
  /** Without it, the query's own. */
  type?: string | null;
}

/** The answer to a query, where it holds more than data. */
export class Reply {
  constructor(parts?: ReplyParts);
}

/** Returned by a query handler: no answer; the asker times out, as if nobody had heard. */
export const noAnswer: unique symbol;

// ---- messages to others: as far as `uses` in conche-plugin.toml names them ----

/** Emits an event. It is kept back and released only if the handler succeeds; answers the id it will carry. `uses = ["emit"]`. */
export function emit(event: Draft): string;

export interface Timeout {
  /** At most a little less than `call.remainingMs`. Without it, the host's. */
  timeoutMs?: number;
}

/** Asks a query now and waits for its answer. Throws a {@link SendError}. `uses = ["request"]`. */
export function request(query: Draft, options?: Timeout): CloudEvent;

/** Asks several queries at once; the outcomes stand in the order of the queries. The time-out is that of the whole. `uses = ["request"]`. */
export function requestAll(
  queries: readonly Draft[],
  options?: Timeout,
): ({ status: "fulfilled"; value: CloudEvent } | { status: "rejected"; reason: SendError })[];

/** Publishes an event now (no later failure undoes it), then waits for the first event of one of these types with the same transaction id. `uses = ["exchange"]`. */
export function exchange(event: Draft, answerTypes: Ops, options?: Timeout): CloudEvent;

export interface Listener {
  /** The name of a {@link listener}. */
  handler: string;
  /** Without them any type; then a transaction id is needed. */
  types?: Ops;
  transactionId?: string;
  /** Gone after its first match. */
  once?: boolean;
  /** Opaque to the host, handed back in {@link CloudEvent.state}. */
  state?: string;
  /** Without it, the policy's longest. */
  expiresMs?: number;
}

/** Changes are done if the handler succeeds, before its emits are released. `uses = ["listeners"]`. */
export const listeners: {
  /** Answers the id to remove it by. */
  add(listener: Listener): string;
  /** One that is gone already is left alone. */
  remove(id: string): void;
};

// ---- the host ----

/** The `[config]` of the plugin's policy. */
export const config: {
  get(key: string): string | undefined;
  keys(): string[];
  /** Undefined without the key; what `read` throws becomes a {@link ConfigError} that names the key. */
  parse<T>(key: string, read: (text: string) => T): T | undefined;
  /** A whole number within these limits. */
  integer(key: string, limits?: { least?: number; most?: number }): number | undefined;
};

/** The call in progress. */
export const call: {
  /** 1 at the first delivery of an event, more when it comes again; always 1 for a query. */
  readonly attempt: number;
  /** Equal at every delivery of this event to this handler: for effects outside Conche. */
  readonly idempotencyKey: string;
  /** Time left, waiting included. */
  readonly remainingMs: number;
  /** How many requests lie between whoever began this and this call. */
  readonly hops: number;
};

type Write = (message: string, fields?: Record<string, unknown>) => void;

/** Lines in the host's log, which adds the plugin, its digest and the event's id. */
export const log: Record<"trace" | "debug" | "info" | "warn" | "error" | "critical", Write>;

// ---- errors ----

/** Thrown by a query handler: the answer. By an event handler: a retry if its code is 500 or more, else a reject. */
export class Fault extends Error {
  /** Codes as in HTTP: 4xx do not repeat, 5xx may be repeated. `details` are JSON, for programs. */
  constructor(code: number, message: string, options?: { details?: unknown; cause?: unknown });
  readonly code: number;
  readonly details: any;
}

/** Thrown by an event handler: never again, whatever the code; the event goes to the dead letters. */
export class Reject extends Fault {}

/** Thrown by an event handler: later; without `afterMs` the host's backoff decides. A query cannot come again: its asker gets a fault 503. */
export class Retry extends Error {
  constructor(message: string, options?: { afterMs?: number; cause?: unknown });
  readonly afterMs?: number;
}

/** Why a message was not sent, or a request got no answer. Not caught, it becomes a fault or a retry, by what repeating would do. */
export class SendError extends Error {
  private constructor();
  readonly kind: "refused" | "over-budget" | "invalid" | "no-responders" | "timed-out" | "busy" | "remote" | "other";
  /** Of `remote`: what the other side answered. */
  readonly fault?: Fault;
}

/** A value in `[config]` that cannot be read. Not caught, it becomes a fault 500 or a retry. */
export class ConfigError extends Error {
  constructor(key: string, reason: string, options?: { cause?: unknown });
  readonly key: string;
}
