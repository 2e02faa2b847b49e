import { copyJsonObject } from './json.ts';
import type { Json } from './record.ts';
import type { Scrubber } from './scrub.ts';

/** The bytes of a file that Davy makes itself, as they may be kept: text and JSON as a record's would be, bytes as given. */
export function scrubbedBytes(content: Uint8Array | string | Json, scrubber: Scrubber): Uint8Array {
  if (content instanceof Uint8Array) return content;
  if (typeof content === 'string') return Buffer.from(scrubber.text(content));
  return Buffer.from(`${JSON.stringify(copyJsonObject({ content }, 'evidence', scrubber).content, null, 2)}\n`);
}
