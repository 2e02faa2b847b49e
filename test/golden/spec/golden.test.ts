import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkFile, findingsOf } from '../../../src/spec/check.ts';
import { specErrors } from '../../../src/spec/errors.ts';
import type { Finding } from '../../../src/spec/finding.ts';
import { specWarnings } from '../../../src/spec/lint/warnings.ts';
import type { Spec } from '../../../src/spec/model.ts';

/**
 * Every file of this folder is a case. An `invalid-` file names its errors in its first lines, a `valid-` file its warnings:
 * `# error <code> <line>:<column> <sentence>`. Valid files without warnings have their normalised form beside them.
 * `UPDATE=1` rewrites the expectations; read the diff before you commit it.
 */
const folder = relative(process.cwd(), import.meta.dirname);
const update = process.env.UPDATE === '1';
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

function headerLine({ severity, code, sentence, position }: Finding): string {
  const place = position?.line === undefined ? '-' : `${position.line}:${position.column}`;
  return `# ${severity} ${code} ${place} ${sentence}`;
}

/** The expectations stand before everything else but a byte order mark. Bytes, because some cases are no text. */
function split(bytes: Buffer): { mark: Buffer; header: string[]; body: Buffer } {
  const start = bytes.subarray(0, 3).equals(Buffer.from('\ufeff')) ? 3 : 0;
  const header: string[] = [];
  let end = start;
  for (;;) {
    const lineEnd = bytes.indexOf(0x0a, end);
    const line = lineEnd < 0 ? '' : bytes.subarray(end, lineEnd).toString();
    if (!/^# (error|warning) /.test(line)) break;
    header.push(line);
    end = lineEnd + 1;
  }
  return { mark: bytes.subarray(0, start), header, body: bytes.subarray(end) };
}

async function check(name: string): Promise<{ spec: Spec | null; found: string[] }> {
  const result = await checkFile(join(folder, name));
  return { spec: result.spec, found: findingsOf(result).map(headerLine) };
}

/** Headers move the lines they speak of, so a header of the right length goes in first. */
async function rewrite(name: string): Promise<void> {
  const path = join(folder, name);
  const { mark, body } = split(readFileSync(path));
  const write = (lines: string[]) =>
    writeFileSync(path, Buffer.concat([mark, ...lines.map((line) => Buffer.from(`${line}\n`)), body]));
  const { found } = await check(name);
  write(found.map(() => '# error'));
  write((await check(name)).found);
}

function goldenForm({ source: _, ...spec }: Spec): string {
  return `${JSON.stringify(spec, null, 2)}\n`;
}

describe.each(files)('%s', (name) => {
  it('says what its first lines say', async () => {
    if (update) await rewrite(name);
    const { header } = split(readFileSync(join(folder, name)));
    const { spec, found } = await check(name);
    expect(found).toEqual(header);
    if (name.startsWith('invalid-')) {
      expect(spec).toBeNull();
      expect(found.every((line) => line.startsWith('# error '))).toBe(true);
      expect(found.length).toBeGreaterThan(0);
    } else {
      expect(spec).not.toBeNull();
      expect(name.startsWith('valid-warns-')).toBe(found.length > 0);
    }
  });
});

const plain = files.filter((name) => name.startsWith('valid-') && !name.startsWith('valid-warns-'));

it.each(plain)('%s has its normalised form beside it', async (name) => {
  const path = join(folder, name.replace('.yaml', '.golden.json'));
  const { spec } = await check(name);
  if (!spec) throw new Error(`${name} is not valid`);
  if (update) writeFileSync(path, goldenForm(spec));
  expect(goldenForm(spec)).toBe(readFileSync(path, 'utf8'));
});

/** Cases that no file of a readable size can hold; `src/spec/load.test.ts` and `parse.test.ts` have them. */
const generated = [specErrors.unreadable, specErrors['too-large'], specErrors['too-deep']].map(({ code }) => code);

it('has a case for every code', () => {
  const named = new Set(
    files.flatMap((name) => split(readFileSync(join(folder, name))).header.map((line) => line.split(' ')[2])),
  );
  const all = [...Object.values(specErrors), ...Object.values(specWarnings)].map(({ code }) => code);
  expect(all.filter((code) => !named.has(code) && !generated.includes(code))).toEqual([]);
});
