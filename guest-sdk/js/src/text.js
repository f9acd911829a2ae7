/** TextEncoder and TextDecoder for UTF-8, after the Encoding standard. Pure. */
const REPLACEMENT = 0xfffd;
const BYTE_ORDER_MARK = 0xfeff;
/** Code points handed to `String.fromCodePoint` at once: it takes them as arguments. */
const CHUNK = 4096;

export class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    const bytes = [];
    for (const character of String(text).toWellFormed()) push(bytes, character.codePointAt(0));
    return Uint8Array.from(bytes);
  }

  encodeInto(text, target) {
    let [read, written] = [0, 0];
    for (const character of String(text).toWellFormed()) {
      const bytes = [];
      push(bytes, character.codePointAt(0));
      if (written + bytes.length > target.length) break;
      target.set(bytes, written);
      written += bytes.length;
      read += character.length;
    }
    return { read, written };
  }
}

function push(bytes, code) {
  if (code < 0x80) bytes.push(code);
  else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code));
  else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code >> 6), tail(code));
  else bytes.push(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code));
}

function tail(code) {
  return 0x80 | (code & 0x3f);
}

export class TextDecoder {
  encoding = "utf-8";

  constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
    if (!["utf-8", "utf8", "unicode-1-1-utf-8"].includes(String(label).trim().toLowerCase())) {
      throw new RangeError(`no decoder for \`${label}\`: there is one for utf-8 only`);
    }
    this.fatal = fatal;
    this.ignoreBOM = ignoreBOM;
  }

  decode(source = new Uint8Array(), { stream = false } = {}) {
    if (stream) throw new TypeError("TextDecoder: `stream` is not there; decode all bytes at once");
    const bytes = bytesOf(source);
    let text = "";
    let codes = [];
    for (let at = 0; at < bytes.length; ) {
      const { code, length } = decodeOne(bytes, at);
      if (code === undefined && this.fatal) throw new TypeError("the bytes are no UTF-8");
      if (at > 0 || code !== BYTE_ORDER_MARK || this.ignoreBOM) codes.push(code ?? REPLACEMENT);
      if (codes.length === CHUNK) {
        text += String.fromCodePoint(...codes);
        codes = [];
      }
      at += length;
    }
    return text + String.fromCodePoint(...codes);
  }
}

function bytesOf(source) {
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return new Uint8Array(source);
}

/** A code point and how many bytes it took; without `code`, the bytes that make none. */
function decodeOne(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return { code: first, length: 1 };
  const count = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
  if (count === 0) return { length: 1 };
  let code = first & (0x3f >> count);
  for (let index = 1; index <= count; index++) {
    const byte = bytes[at + index];
    const [least, most] = index === 1 ? secondOf(first) : [0x80, 0xbf];
    if (byte === undefined || byte < least || byte > most) return { length: index };
    code = (code << 6) | (byte & 0x3f);
  }
  return { code, length: count + 1 };
}

/** After some first bytes fewer second ones are legal: neither longer than need be, nor surrogates. */
function secondOf(first) {
  if (first === 0xe0) return [0xa0, 0xbf];
  if (first === 0xed) return [0x80, 0x9f];
  if (first === 0xf0) return [0x90, 0xbf];
  if (first === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}
