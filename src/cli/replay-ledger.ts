import { analysisErrors } from '../analysis/errors.ts';
import { type Judgement, type JudgeSetup, type Look, METHOD, type StableHistory } from '../analysis/judge.ts';
import { type Recorded, type RecordedReplay, replayRecorded } from '../analysis/replay/recorded.ts';
import { judge } from '../analysis/tep-judge.ts';
import { readFolder } from '../ledger/reader.ts';
import { DavyError } from '../lib/error.ts';
import { noSuch } from '../lib/nearest.ts';
import type { PolicySpec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';

export interface LedgerReplay extends RecordedReplay {
  release: string;
}

interface Found {
  setup: JudgeSetup;
  method: number;
  records: Recorded[];
}

/** Replays one release of a ledger folder: the one named, else the service's last. Its recorded policy judges. */
export async function replayLedger(dir: string, service: string, wanted: string | undefined): Promise<LedgerReplay> {
  const releases = new Map<string, Found>();
  for await (const { record } of readFolder(dir)) {
    if (record.type.startsWith('release.')) collect(releases, service, record.type, record.data);
  }
  const names = [...releases.keys()];
  const release = wanted ?? names[names.length - 1];
  const found = release === undefined ? undefined : releases.get(release);
  if (release === undefined || found === undefined) {
    const sentence =
      wanted === undefined
        ? `The ledger has no release of ${service}.`
        : noSuch('release', wanted, names, `of ${service} in the ledger`);
    throw new DavyError(cliErrors.usage, sentence);
  }
  if (found.method !== METHOD) {
    throw new DavyError(
      analysisErrors['other-method'],
      `${release} was judged by method ${found.method}; this Davy has method ${METHOD} and cannot judge it again.`,
    );
  }
  return { release, ...replayRecorded(judge, found.setup, found.records) };
}

/** The parts of the release events that a replay needs (release/events.ts). */
interface EventData {
  release: string;
  service?: string;
  version?: string;
  from?: string;
  policy?: PolicySpec;
  method?: number;
  history?: StableHistory;
  looks?: Look[];
  step?: number;
  judgement?: Judgement | null;
}

function collect(releases: Map<string, Found>, service: string, type: string, raw: object): void {
  const data = raw as unknown as EventData;
  if (type === 'release.requested' && data.service === service) {
    const { history } = data;
    const names = { policy: data.policy!, stable: data.from!, canary: data.version! };
    const setup = history === undefined ? names : { ...names, history };
    releases.set(data.release, { setup, method: data.method ?? 1, records: [] });
    return;
  }
  const records = releases.get(data.release)?.records;
  if (records === undefined) return;
  const judgement = data.judgement ?? null;
  if (type === 'release.observed') for (const look of data.looks ?? []) records.push({ kind: 'look', look });
  else if (type === 'release.step.decided') records.push({ kind: 'step', step: data.step!, judgement });
  else if (type === 'release.rollback.decided') records.push({ kind: 'decision', what: 'rollback', judgement });
  else if (type === 'release.completed') records.push({ kind: 'decision', what: 'completion', judgement });
}
