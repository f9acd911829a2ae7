/** The globals that every plugin has beside ECMAScript's own. */

interface Console {
  log(...parts: unknown[]): void;
  info(...parts: unknown[]): void;
  dir(...parts: unknown[]): void;
  debug(...parts: unknown[]): void;
  trace(...parts: unknown[]): void;
  warn(...parts: unknown[]): void;
  error(...parts: unknown[]): void;
  assert(holds: unknown, ...parts: unknown[]): void;
}
/** Lines in the host's log. */
declare var console: Console;

interface TextEncoder {
  readonly encoding: string;
  encode(text?: string): Uint8Array;
  encodeInto(text: string, target: Uint8Array): { read: number; written: number };
}
declare var TextEncoder: { new (): TextEncoder };

interface TextDecoder {
  readonly encoding: string;
  decode(bytes?: ArrayBuffer | ArrayBufferView): string;
}
declare var TextDecoder: { new (label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder };

interface Crypto {
  getRandomValues<T extends ArrayBufferView>(array: T): T;
  randomUUID(): `${string}-${string}-${string}-${string}-${string}`;
}
/** Random numbers of the host. */
declare var crypto: Crypto;

interface Performance {
  now(): number;
}
declare var performance: Performance;

declare function structuredClone<T>(value: T): T;
declare function queueMicrotask(job: () => void): void;
declare function atob(text: string): string;
declare function btoa(text: string): string;
