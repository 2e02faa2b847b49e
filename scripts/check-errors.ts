import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ErrorKind } from '../src/lib/error.ts';

/**
 * docs/errors.md lists every error of every room. Without arguments: fails when page and code differ in either
 * direction, or when a declared error is raised nowhere. `--write` makes the page anew.
 */
const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/errors.md');

export async function catalogue(): Promise<ErrorKind[]> {
  const kinds: ErrorKind[] = [];
  for (const file of sourceFiles().filter((path) => path.endsWith('/errors.ts'))) {
    const module = (await import(pathToFileURL(file).href)) as Record<string, Record<string, ErrorKind>>;
    for (const room of Object.values(module)) kinds.push(...Object.values(room));
  }
  return kinds.sort((a, b) => (a.code < b.code ? -1 : 1));
}

export function renderCatalogue(kinds: ErrorKind[]): string {
  const rooms = Map.groupBy(kinds, (kind) => kind.code.split('/')[0] ?? '');
  const lines = [
    '# Errors',
    '',
    'Every error that Davy reports has a code, a sentence, a position where there is one, and the next step. This page is made from',
    'the code (`node scripts/check-errors.ts --write`), and a check fails when they differ. Exit codes: 1 unexpected · 2 usage or spec',
    'invalid · 3 rolled back or failed verdict · 4 timed out waiting · 5 not allowed · 6 unreachable.',
  ];
  for (const [room, entries] of rooms) {
    lines.push(
      '',
      `## ${room}`,
      '',
      '| code | what it means | what to do next | exit | HTTP |',
      '|---|---|---|---|---|',
    );
    for (const { code, means, next, exit, http } of entries) {
      lines.push(`| \`${code}\` | ${cell(means)} | ${cell(next)} | ${exit} | ${http} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Kinds that no source file but their own catalogue mentions: an error that cannot happen is a wrong promise. */
export function neverRaised(kinds: ErrorKind[]): string[] {
  const code = sourceFiles()
    .filter((path) => !path.endsWith('/errors.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');
  return kinds
    .map((kind) => kind.code)
    .filter((code_) => {
      const [room, name = ''] = code_.split('/');
      const member = new RegExp(`Errors(\\.${name}\\b|\\[['"\`]${name}['"\`]\\])`);
      return !member.test(code) && !code.includes(`'${name}'`) && !code.includes(`${room}/${name}`);
    });
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function sourceFiles(): string[] {
  return readdirSync(join(root, 'src'), { recursive: true })
    .map((name) => join(root, 'src', String(name)))
    .filter((path) => path.endsWith('.ts'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const kinds = await catalogue();
  const wanted = renderCatalogue(kinds);
  if (process.argv.includes('--write')) writeFileSync(page, wanted);
  const problems = neverRaised(kinds).map((code) => `${code} is declared but raised nowhere`);
  if (readFileSync(page, 'utf8') !== wanted)
    problems.push('docs/errors.md differs from the code: node scripts/check-errors.ts --write');
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
