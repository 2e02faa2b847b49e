import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unguardedLookups } from './lookups.ts';

/** The repository's own rules (ARCHITECTURE.md, CONTRIBUTING.md): each prints what breaks it and exits with 1. */
const root = fileURLToPath(new URL('..', import.meta.url));
const MAX_FILE_LINES = 600;
const MAX_RUNTIME_DEPENDENCIES = 20;
/** Who writes to a terminal or a log without `CliIo`: each makes its text visible or writes JSON itself. */
const WRITERS = new Set([
  'src/cli/io.ts',
  'src/gateway/main.ts',
  'src/gateway/net/internal-error.ts',
  'src/gateway/proxy/access-log.ts',
  'src/load/main.ts',
]);

interface SourceFile {
  path: string;
  text: string;
  imports: { path: string; typeOnly: boolean }[];
}

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const sources = tracked.filter((path) => /^(src|test|scripts|bench)\/.*\.ts$/.test(path)).map(readSource);
const production = sources.filter(({ path }) => path.startsWith('src/') && !isTestCode(path));

const problems = [
  ...production.flatMap(wrongDirection),
  ...production.flatMap(clockOrDice),
  ...production.flatMap(tooLong),
  ...production.flatMap(rawOutput),
  ...tracked.filter((path) => /^web\/src\/.*\.tsx?$/.test(path)).flatMap(rawOnPage),
  ...sources.flatMap(unnumberedTodo),
  ...sources.filter(({ path }) => path.endsWith('/index.ts')).map(({ path }) => `${path}: barrels are not used inside`),
  ...cycles(production),
  ...tracked.flatMap(leaks),
  ...dependencies(),
  ...unguardedLookups(root, ['tsconfig.json', 'web/tsconfig.json']),
];
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), 'utf8');
  const imports = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+'(\.[^']+)'/gms)].map((match) => ({
    path: normalize(join(dirname(path), match[2] ?? '')),
    typeOnly: match[1] !== undefined,
  }));
  return { path, text, imports };
}

function isTestCode(path: string): boolean {
  return /\.(test|fixture)\.ts$/.test(path) || path.includes('/testing/');
}

function room(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? 'top';
}

/** lib knows no domain; nothing imports server (but its types, the API's contract) or cli; the gateway is a process of its own and loads little. */
function wrongDirection({ path, imports }: SourceFile): string[] {
  const from = room(path);
  return imports.flatMap(({ path: target, typeOnly }) => {
    const to = room(target);
    if (from === to || to === 'top' || to === 'lib') return [];
    const says = `${path} imports ${target}`;
    if (from === 'lib') return [`${says}: lib knows no domain`];
    if (to === 'cli' && path !== 'src/main.ts') return [`${says}: nothing imports cli`];
    if (to === 'server' && path !== 'src/app.ts' && !typeOnly) return [`${says}: nothing imports server`];
    if (from === 'gateway' && !typeOnly && !/^src\/(traffic\/|probe\/|spec\/gateway-model\.ts)/.test(target))
      return [`${says}: the gateway stands alone`];
    return [];
  });
}

/** Decisions take the time and the dice as arguments. */
function clockOrDice({ path, text }: SourceFile): string[] {
  const pure = /^src\/(analysis|release|spec|objectives)\//.test(path) && !/worker|pool/.test(path);
  if (!pure) return [];
  const found = /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval)\b\(/.exec(text);
  return found ? [`${path}: ${found[1]} in decision code; take a Clock or a seed`] : [];
}

function tooLong({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length;
  return lines > MAX_FILE_LINES ? [`${path}: ${lines} lines; ${MAX_FILE_LINES} are the limit`] : [];
}

/** What people see goes through the types of `src/lib/outside-text`, which take nothing raw. */
function rawOutput({ path, text }: SourceFile): string[] {
  if (WRITERS.has(path)) return [];
  const found = /\b(process\.std(?:out|err)\.write|console\.\w+)\(/.exec(text);
  return found ? [`${path}: ${found[1]} passes by the sinks; write through CliIo`] : [];
}

/** What the page shows comes through `web/src/api.ts`, which makes it visible, and reaches the document as text. */
function rawOnPage(path: string): string[] {
  const text = readFileSync(join(root, path), 'utf8');
  const found = /\b(innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write)\b/.exec(text);
  const fetched = path === 'web/src/api.ts' ? null : /\b(fetch\(|XMLHttpRequest|\.json\(\))/.exec(text);
  return [
    ...(found ? [`${path}: ${found[1]} takes markup; the page writes text`] : []),
    ...(fetched ? [`${path}: ${fetched[1]} passes by the page's api.ts`] : []),
  ];
}

function unnumberedTodo({ path, text }: SourceFile): string[] {
  const word = ['TO', 'DO'].join('');
  return new RegExp(`\\b(${word}|FIX${'ME'})\\b(?! #\\d)`).test(text)
    ? [`${path}: a ${word} without an issue number`]
    : [];
}

/** Cycles among the imports that remain at run time (types are erased): the order of loading must never matter. */
function cycles(files: SourceFile[]): string[] {
  const graph = new Map(
    files.map((file) => [file.path, file.imports.filter((one) => !one.typeOnly).map((one) => one.path)]),
  );
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push(`import cycle: ${[...trail.slice(at), path].join(' → ')}`);
    if (at >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** Nothing in the repository names the machine it was made on. */
function leaks(path: string): string[] {
  if (/\.(png|ico|woff2|gz)$/.test(path)) return [];
  const text = readFileSync(join(root, path), 'utf8');
  const places = [['', 'work', ''].join('/'), ['', 'root', ''].join('/'), ['registry', 'npmjs'].join('.')];
  return places.filter((place) => text.includes(place)).map((place) => `${relative('.', path)}: names ${place}`);
}

function dependencies(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string>
  >;
  const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8');
  const runtime = Object.keys(manifest.dependencies ?? {});
  const all = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}),
  );
  return [
    ...(runtime.length > MAX_RUNTIME_DEPENDENCIES ? [`package.json: ${runtime.length} runtime dependencies`] : []),
    ...all.filter(([, version]) => !/^\d/.test(version)).map(([name]) => `package.json: ${name} is not pinned exactly`),
    ...all
      .filter(([name]) => !page.includes(`\`${name}\``))
      .map(([name]) => `docs/dependencies.md: no line for ${name}`),
  ];
}
