import type { LedgerRecord } from '../../../src/ledger/record.ts';
import { own } from '../../../src/lib/own.ts';
import { count, weight } from '../format.ts';
import type { Tone } from '../parts.tsx';

/** What a record says in a line. Its data is whatever was written once: nothing about its shape is taken for granted. */

export interface Kind {
  /** As it stands in the address. */
  id: string;
  label: string;
  /** Beginnings of types. */
  types: string[];
}

export const KINDS: Kind[] = [
  { id: '', label: 'everything', types: [] },
  { id: 'observations', label: 'observations', types: ['release.observed'] },
  {
    id: 'verdicts',
    label: 'verdicts',
    types: [
      'release.step.',
      'release.held',
      'release.hold.',
      'release.rollback.',
      'release.completed',
      'release.cancelled',
      'chaos.concluded',
    ],
  },
  {
    id: 'intents',
    label: 'intents',
    types: [
      'release.requested',
      'release.paused',
      'release.resumed',
      'traffic.intended',
      'chaos.planned',
      'chaos.armed',
    ],
  },
  {
    id: 'effects',
    label: 'effects',
    types: [
      'traffic.applied',
      'traffic.drift.',
      'release.rolledback',
      'release.drained',
      'release.instance.',
      'chaos.injected',
      'chaos.rever',
      'chaos.dirty',
    ],
  },
  { id: 'release.rollback', label: 'rollbacks', types: ['release.rollback', 'release.rolledback'] },
  { id: 'release.', label: 'releases', types: ['release.'] },
  { id: 'traffic.', label: 'traffic', types: ['traffic.'] },
  { id: 'chaos.', label: 'chaos', types: ['chaos.'] },
  { id: 'ledger.', label: 'ledger', types: ['ledger.', 'evidence.', 'metrics.'] },
];

/** An id that is none of the kinds is the beginning of a type. */
export function typesOf(id: string): string[] {
  return KINDS.find((kind) => kind.id === id)?.types ?? [id];
}

type Data = Record<string, unknown>;

const SAYS: Record<string, (data: Data) => string> = {
  'release.observed': observed,
  'release.requested': (data) => `${text(data.from)} → ${text(data.version)}: ${text(data.reason)}`,
  'release.step.decided': (data) => `→ ${share(data.weightBp)}: ${text(data.reason)}`,
  'release.rollback.decided': (data) => `${text(data.cause)}: ${text(data.reason)}`,
  'release.held': (data) => `${text(data.verdict)}: ${text(data.reason)}`,
  'release.completed': (data) => `${text(data.stable)} is stable now`,
  'traffic.intended': (data) => `${table(data)}: ${text(data.why)}`,
  'traffic.applied': table,
  'service.declared': (data) => `stable ${text(data.stable)}`,
  'evidence.collected': (data) => [text(data.kind), text(data.release)].filter((part) => part !== '').join(' of '),
  'chaos.concluded': concluded,
  'chaos.planned': (data) => `${text(object(object(data.plan).experiment).name)}: ${text(data.reason)}`,
  'chaos.slot.considered': (data) => {
    const { kind, why } = object(data.outcome);
    return `${text(data.experiment)} ${kind === 'ran' ? 'ran' : `did not run: ${text(why)}`}`;
  },
  'ledger.opened': (data) => text(data.origin),
};

export function summary(record: LedgerRecord): { tone: Tone; says: string } {
  const data = object(record.data);
  const general = (): string =>
    [data.reason, data.why, data.verdict, data.cause].map(text).find((one) => one !== '') ?? '';
  const says = own(SAYS, record.type)?.(data) ?? general();
  return { tone: toneOf(record, data), says };
}

function toneOf({ type }: LedgerRecord, data: Data): Tone {
  if (/rollback|rolledback|dirty|drift/.test(type)) return 'bad';
  if (type === 'chaos.concluded') return object(data.conclusion).verdict === 'PASS' ? 'good' : 'warn';
  if (/held|paused/.test(type)) return 'warn';
  return /completed|step\.decided/.test(type) ? 'good' : 'quiet';
}

function observed(data: Data): string {
  const looks = list(data.looks).map(object);
  const instances = looks.flatMap((look) =>
    Object.values(object(object(look.tick).versions))
      .flatMap(list)
      .map(object),
  );
  const sum = (name: string): number => instances.reduce((all, one) => all + (Number(own(one, name)) || 0), 0);
  const problem = looks.map((look) => text(look.problem)).find((one) => one !== '');
  const what = `${looks.length} ${looks.length === 1 ? 'look' : 'looks'}`;
  if (instances.length === 0) return `${what}, no data${problem ? `: ${problem}` : ''}`;
  return `${what}, ${count(sum('requests'))} requests, ${count(sum('errors'))} failed`;
}

/** Which services are split, and how; the others are all stable. */
function table(data: Data): string {
  const split = list(data.services)
    .map(object)
    .filter((service) => service.canary !== null && service.canary !== undefined)
    .map((service) => `${text(service.service)} ${text(service.canary)} ${share(service.weightBp)}`);
  return `table ${text(data.generation)}${split.length > 0 ? `, ${split.join(', ')}` : ', all stable'}`;
}

function concluded(data: Data): string {
  const { verdict, reasons } = object(data.conclusion);
  return `${text(verdict)}: ${list(reasons).map(text).join('; ')}`;
}

function share(bp: unknown): string {
  return weight(typeof bp === 'number' ? bp : null);
}

function object(value: unknown): Data {
  return typeof value === 'object' && value !== null ? (value as Data) : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
