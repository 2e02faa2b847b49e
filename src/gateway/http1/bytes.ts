/** Byte classes and small helpers over octets. Nothing here decodes text: HTTP heads are octets (RFC 9112 section 2.2). */

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;
export const COMMA = 44;

export const TCHAR = 1;
/** field-vchar, obs-text, SP and HTAB: what a field value may hold (RFC 9110 section 5.5). */
export const FIELD = 2;
/** A request target's octets: visible ASCII without `#`, which never reaches a server (RFC 9112 section 3.2). */
export const TARGET = 4;
/** Host: unreserved, percent, sub-delims, and the brackets and colons of literals (RFC 3986 section 3.2.2). */
export const HOST = 8;

/** Class bits of each octet. */
export const CLASS = new Uint8Array(256);

function mark(characters: string, bit: number): void {
  for (let i = 0; i < characters.length; i++) CLASS[characters.charCodeAt(i)]! |= bit;
}

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
mark(ALPHANUMERIC, TCHAR | HOST);
mark("!#$%&'*+-.^_`|~", TCHAR);
mark("-._~%!$&'()*+,;=:[]", HOST);
for (let octet = 0x21; octet <= 0x7e; octet++) CLASS[octet]! |= FIELD | TARGET;
for (let octet = 0x80; octet <= 0xff; octet++) CLASS[octet]! |= FIELD;
CLASS[SP]! |= FIELD;
CLASS[HTAB]! |= FIELD;
CLASS[0x23]! &= ~TARGET;

/** Value of a hex digit, -1 for anything else. */
export const HEX = new Int8Array(256).fill(-1);
for (let i = 0; i < 10; i++) HEX[48 + i] = i;
for (let i = 0; i < 6; i++) HEX[65 + i] = HEX[97 + i] = 10 + i;

/** Whether `buf[start, end)` equals `lower` (lower-case ASCII octets), letters compared without case. */
export function equalsNoCase(buf: Uint8Array, start: number, end: number, lower: Uint8Array): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    let octet = buf[start + i]!;
    if (octet >= 65 && octet <= 90) octet |= 32;
    if (octet !== lower[i]) return false;
  }
  return true;
}

/** Copies octets; a loop beats the native call below about 40 octets. Returns the new end in `to`. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  const length = end - start;
  if (length > 40) {
    to.set(from.subarray(start, end), at);
    return at + length;
  }
  for (let i = start; i < end; i++) to[at++] = from[i]!;
  return at;
}

/** Eight hex digits at most, without leading zeros. Returns the new end. */
export function writeHex(value: number, to: Uint8Array, at: number): number {
  let digits = 1;
  for (let bound = 16; value >= bound; bound *= 16) digits++;
  for (let i = at + digits - 1; i >= at; i--) {
    const nibble = value & 15;
    to[i] = nibble < 10 ? 48 + nibble : 87 + nibble;
    value = Math.floor(value / 16);
  }
  return at + digits;
}

/** Latin-1 octets of a constant or of configured text. */
export function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
