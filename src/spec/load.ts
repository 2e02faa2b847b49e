import { open } from 'node:fs/promises';
import { DavyError, messageOf } from '../lib/error.ts';
import { formatCount } from '../lib/units.ts';
import { specErrors } from './errors.ts';
import type { Finding } from './finding.ts';
import type { Spec } from './model.ts';
import { maxSpecBytes, parseSpec } from './parse.ts';

/** Reads and checks a spec file. Throws a DavyError with position and further errors, as `parseSpec` does. */
export async function loadSpec(path: string): Promise<{ spec: Spec; warnings: Finding[] }> {
  return parseSpec(await readSpecText(path), path);
}

/** The file's text. Never reads more than `maxSpecBytes` + 1 bytes, whatever the file is. */
export async function readSpecText(path: string): Promise<string> {
  const bytes = await readCapped(path);
  if (bytes.length > maxSpecBytes) {
    throw new DavyError(
      specErrors['too-large'],
      `The file is larger than ${formatCount(maxSpecBytes)} bytes, the limit for a spec`,
      {
        position: { file: path },
      },
    );
  }
  try {
    return decode(bytes);
  } catch (error) {
    throw new DavyError(specErrors['not-utf8'], 'The file is not UTF-8 text', {
      position: { file: path, ...firstBadByte(bytes) },
      cause: error,
    });
  }
}

async function readCapped(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const buffer = Buffer.alloc(maxSpecBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) return buffer.subarray(0, length);
    }
  } catch (error) {
    throw new DavyError(specErrors.unreadable, `${path} cannot be read: ${messageOf(error)}`, {
      position: { file: path },
      cause: error,
    });
  }
}

/** The byte order mark stays in, so that the text's SHA-256 is the file's. */
function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

function firstBadByte(bytes: Buffer): { line: number; column: number } {
  let line = 1;
  for (let start = 0; ; line += 1) {
    const end = bytes.indexOf(0x0a, start);
    const lineBytes = bytes.subarray(start, end < 0 ? bytes.length : end);
    const valid = validPrefix(lineBytes);
    if (valid !== null || end < 0) return { line, column: (valid ?? 0) + 1 };
    start = end + 1;
  }
}

/** Characters before the first invalid byte of a line, or null when the whole line is valid. */
function validPrefix(lineBytes: Uint8Array): number | null {
  const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(lineBytes);
  for (let index = decoded.indexOf('\ufffd'); index >= 0; index = decoded.indexOf('\ufffd', index + 1)) {
    const before = Buffer.byteLength(decoded.slice(0, index));
    const isWritten = lineBytes[before] === 0xef && lineBytes[before + 1] === 0xbf && lineBytes[before + 2] === 0xbd;
    if (!isWritten) return index;
  }
  return null;
}
