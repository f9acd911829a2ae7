/**
 * Random numbers of the host. QuickJS seeds its own while the plugin is built, so that every fresh
 * instance would draw the same ones.
 */
import { getRandomBytes } from "wasi:random/random@0.2.0";

import { hasHost, needHost } from "./host.js";

const whileBuilt = Math.random;
let state;

/** xoshiro128**, seeded once an instance: a call of the host for each number would cost more. */
export function random() {
  if (!hasHost()) return whileBuilt();
  state ??= new Uint32Array(bytes(16).buffer);
  // 53 bits, as many as a number between 0 and 1 has.
  return ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
}

function next() {
  const mixed = Math.imul(rotate(Math.imul(state[1], 5), 7), 9);
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return mixed >>> 0;
}

function rotate(word, by) {
  return (word << by) | (word >>> (32 - by));
}

function bytes(count) {
  return Uint8Array.from(getRandomBytes(count));
}

export const crypto = {
  getRandomValues(array) {
    needHost("crypto.getRandomValues");
    const drawn = bytes(array.byteLength);
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(drawn);
    return array;
  },

  randomUUID() {
    needHost("crypto.randomUUID");
    const drawn = bytes(16);
    drawn[6] = (drawn[6] & 0x0f) | 0x40; // version 4: random
    drawn[8] = (drawn[8] & 0x3f) | 0x80;
    const hex = Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  },
};
