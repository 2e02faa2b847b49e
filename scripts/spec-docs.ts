/**
 * Writes the tables of docs/spec.md from the schema and the list of warnings; the prose around them is written by hand.
 *
 *   node scripts/spec-docs.ts          says whether the file is fresh (exit 1 when not)
 *   node scripts/spec-docs.ts --write  rewrites the tables
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { flowYaml } from '../src/spec/flow.ts';
import { specJsonSchema } from '../src/spec/json-schema.ts';
import { specWarnings } from '../src/spec/lint/warnings.ts';

/** The keywords of JSON Schema that our schema uses. */
interface Field {
  type?: string | string[];
  description?: string;
  examples?: unknown[];
  default?: unknown;
  const?: unknown;
  enum?: string[];
  minimum?: number;
  maximum?: number;
  required?: string[];
  properties?: Record<string, Field>;
  additionalProperties?: Field | boolean;
  items?: Field;
  anyOf?: Field[];
  'x-davy-unit'?: { unit: string; min: string; max: string };
}

const file = join(import.meta.dirname, '..', 'docs', 'spec.md');

/** Settings that stand in two places are shown in the second. */
const shownElsewhere: Record<string, string> = {
  'defaults.health': 'services.NAME.health',
  'defaults.traffic': 'services.NAME.traffic',
};

export function freshDocs(current: string): string {
  return replaceBlock(replaceBlock(current, 'fields', fieldTables()), 'warnings', warningTable());
}

function fieldTables(): string {
  return sections('', specJsonSchema() as Field)
    .map(({ path, field }) => `### ${path === '' ? 'The whole file' : `\`${path}\``}\n\n${table(path, field)}`)
    .join('\n\n');
}

interface Section {
  path: string;
  field: Field;
}

/** A section for each kind of map, in the order of the file. */
function sections(path: string, field: Field): Section[] {
  if (path in shownElsewhere) return [];
  const settings = settingsOf(field);
  if (settings.items) return sections(`${path}[]`, settings.items);
  if (typeof settings.additionalProperties === 'object' && settings.additionalProperties.properties) {
    return sections(`${path}.NAME`, settings.additionalProperties);
  }
  if (!settings.properties) return [];
  const below = Object.entries(settings.properties).flatMap(([name, child]) => sections(fieldPath(path, name), child));
  return [{ path, field: settings }, ...below];
}

function table(path: string, { properties = {}, required = [] }: Field): string {
  const rows = Object.entries(properties).map(([name, field]) => [
    `\`${name}\``,
    takes(fieldPath(path, name), field),
    required.includes(name) ? '**required**' : field.default === undefined ? '–' : code(field.default),
    code(field.examples?.[0]),
    field.description ?? '',
  ]);
  return aligned([['Field', 'Takes', 'Default', 'Example', 'Meaning'], ...rows]);
}

function takes(path: string, field: Field): string {
  const unit = field['x-davy-unit'];
  const elsewhere = shownElsewhere[path];
  if (elsewhere) return `as \`${elsewhere}\``;
  if (unit) return `${unit.unit === 'points' ? 'percentage points' : unit.unit}, ${unit.min} to ${unit.max}`;
  if (field.anyOf) return `\`none\` or settings`;
  if (field.enum) return field.enum.map((word) => `\`${word}\``).join(' or ');
  if (field.const !== undefined) return code(field.const);
  if (field.type === 'integer') return `whole number, ${field.minimum} to ${field.maximum}`;
  if (field.type === 'number') return `number, ${field.minimum} to ${field.maximum}`;
  if (field.type === 'array') return field.items?.enum ? `list of ${takes(path, field.items)}` : 'list';
  if (typeof field.additionalProperties === 'object') return 'map by name';
  return field.properties ? 'settings' : 'text';
}

function warningTable(): string {
  const rows = Object.values(specWarnings).map(({ code: name, means, next }) => [`\`${name}\``, means, next]);
  return aligned([['Warning', 'Means', 'Next'], ...rows]);
}

function settingsOf(field: Field): Field {
  return field.anyOf?.find((option) => option.properties) ?? field;
}

function fieldPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** A Markdown table as the formatter leaves it: columns padded to their widest cell, the first row as its head. */
function aligned(rows: string[][]): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)));
  const [head = [], ...body] = lines;
  return [head, widths.map((width) => '-'.repeat(width)), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function code(value: unknown): string {
  return `\`${flowYaml(value)}\``;
}

function replaceBlock(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- generated: ${name} -->`, `<!-- end: ${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${file} has no block ${start} … ${end}`);
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`;
}

if (import.meta.main) {
  const current = readFileSync(file, 'utf8');
  const fresh = freshDocs(current);
  if (process.argv.includes('--write')) writeFileSync(file, fresh);
  else if (fresh !== current) {
    console.error('docs/spec.md is stale: run `node scripts/spec-docs.ts --write`');
    process.exitCode = 1;
  }
}
