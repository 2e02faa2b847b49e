/**
 * Walks over JSON (RFC 8259) as `JSON.stringify` writes it, byte by byte, without building values. Every function takes a
 * position and returns the one behind what it passed, or -1 for whatever is unusual (white space, an escape, an exponent,
 * a long number, deep nesting) or no JSON: `JSON.parse` then has the word. The bytes must be valid UTF-8 and hold a
 * control character, such as the LF of the line, at or behind the end of the text.
 */

const QUOTE = 34;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const MAX_DEPTH = 32;
/** Up to here every digit string is an exact number. */
const MAX_DIGITS = 15;

/** 1 for the bytes that stand in a string as they are: all but quote, backslash and control characters (section 7). */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 32 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

/** Position of the quote that ends the string whose first character is at `at`. */
export function stringEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (IS_PLAIN[bytes[end]!] === 1) end += 1;
  return bytes[end] === QUOTE ? end : -1;
}

/** Passes a non-negative integer without leading zeros. */
export function digitsEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (isDigit(bytes[end]!)) end += 1;
  const length = end - at;
  return length === 0 || length > MAX_DIGITS || (length > 1 && bytes[at] === ZERO) ? -1 : end;
}

/** The integer that `digitsEnd` passed. */
export function digitsValue(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = at; i < end; i++) value = value * 10 + (bytes[i]! - ZERO);
  return value;
}

/** Passes an object. */
export function objectEnd(bytes: Uint8Array, at: number, depth = 0): number {
  if (bytes[at] !== OPEN_BRACE || depth >= MAX_DEPTH) return -1;
  let next = at + 1;
  if (bytes[next] === CLOSE_BRACE) return next + 1;
  for (;;) {
    if (bytes[next] !== QUOTE) return -1;
    next = stringEnd(bytes, next + 1);
    if (next === -1 || bytes[next + 1] !== COLON) return -1;
    next = valueEnd(bytes, next + 2, depth + 1);
    if (next === -1) return -1;
    const code = bytes[next];
    next += 1;
    if (code === CLOSE_BRACE) return next;
    if (code !== COMMA) return -1;
  }
}

function arrayEnd(bytes: Uint8Array, at: number, depth: number): number {
  if (depth >= MAX_DEPTH) return -1;
  let next = at + 1;
  if (bytes[next] === CLOSE_BRACKET) return next + 1;
  for (;;) {
    next = valueEnd(bytes, next, depth + 1);
    if (next === -1) return -1;
    const code = bytes[next];
    next += 1;
    if (code === CLOSE_BRACKET) return next;
    if (code !== COMMA) return -1;
  }
}

function valueEnd(bytes: Uint8Array, at: number, depth: number): number {
  const code = bytes[at]!;
  if (code === QUOTE) {
    const end = stringEnd(bytes, at + 1);
    return end === -1 ? -1 : end + 1;
  }
  if (code === MINUS || isDigit(code)) return numberEnd(bytes, at);
  if (code === OPEN_BRACE) return objectEnd(bytes, at, depth);
  if (code === OPEN_BRACKET) return arrayEnd(bytes, at, depth);
  return wordEnd(bytes, at);
}

/** Integers and decimals; an exponent is left to the full parser. */
function numberEnd(bytes: Uint8Array, at: number): number {
  const end = digitsEnd(bytes, bytes[at] === MINUS ? at + 1 : at);
  if (end === -1 || bytes[end] !== DOT) return end;
  let next = end + 1;
  while (isDigit(bytes[next]!)) next += 1;
  return next === end + 1 ? -1 : next;
}

function wordEnd(bytes: Uint8Array, at: number): number {
  for (const word of WORDS) {
    let same = 0;
    while (same < word.length && bytes[at + same] === word[same]) same += 1;
    if (same === word.length) return at + same;
  }
  return -1;
}

const WORDS: readonly Buffer[] = ['true', 'false', 'null'].map((word) => Buffer.from(word));

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 57;
}
