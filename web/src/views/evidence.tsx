import { useState } from 'preact/hooks';
import type { ProofDoc } from '../../../src/server/routes/proofs.ts';
import { call, exact, problemOf } from '../api.ts';
import { count } from '../format.ts';
import { fleet } from '../live.ts';
import { Badge, Card, Copy, Fact, Facts, type Tone, Ways } from '../parts.tsx';
import { query, setQuery } from '../route.ts';
import { shown } from '../shown.ts';
import { ChainCheck, type ChainFinding, grewFrom, type Head, includes, leafHash, openCheckpoint } from '../verify.ts';

const BATCH = 1_000;
const PINNED = 'davy.pinned';

interface Step {
  tone: Tone;
  title: string;
  says: string;
}

interface Pinned {
  vkey: string;
  head: Head;
  atMs: number;
}

/** The ledger's head, and a check that this browser does itself. */
export function Evidence() {
  const document = fleet.value;
  const size = document?.ledger.size ?? 0;
  const [steps, setSteps] = useState<Step[]>([]);
  const [bad, setBad] = useState<ChainFinding[]>([]);
  const [progress, setProgress] = useState<string | null>(null);
  const from = Number(query.value.get('from') ?? Math.max(0, size - 2_000));
  const to = Number(query.value.get('to') ?? Math.max(0, size - 1));
  const seq = Number(query.value.get('seq') ?? Math.max(0, size - 1));
  const run = async (): Promise<void> => {
    setSteps([]);
    setBad([]);
    setProgress('beginning …');
    try {
      await check({ from, to, seq }, (step) => setSteps((all) => [...all, step]), setBad, setProgress);
    } catch (error) {
      setSteps((all) => [
        ...all,
        { tone: 'bad', title: 'The check could not be finished', says: problemOf(error).sentence },
      ]);
    }
    setProgress(null);
  };
  return (
    <div class="evidence">
      <h1>Evidence</h1>
      <div class="cards">
        <Card title="Log head">
          <Facts>
            <Fact name="records">{count(size)}</Fact>
            <Fact name="last record's hash">
              <code class="hash">{document?.ledger.tip}</code>
            </Fact>
            <Fact name="not durable yet">{document?.ledger.late ?? 0}</Fact>
          </Facts>
          <p>
            <a href="/timeline">All records</a> ·{' '}
            <a download="records.jsonl" href={exportLink(from)}>
              Export {count(Math.min(BATCH, size))} lines from {from}
            </a>
          </p>
          <Copy label="The whole export, for an auditor" text="davy evidence export" />
        </Card>
        <Card title="Check it here">
          <p class="muted">
            This browser fetches the stored bytes and hashes them itself. It believes the server nothing but the key,
            and that only on first sight: compare it with a copy from elsewhere.
          </p>
          <div class="fields">
            <NumberField name="from" label="From record" value={from} max={Math.max(0, size - 1)} />
            <NumberField name="to" label="to record" value={to} max={Math.max(0, size - 1)} />
            <NumberField name="seq" label="Prove record" value={seq} max={Math.max(0, size - 1)} />
          </div>
          <div class="buttons">
            <button
              type="button"
              class="primary"
              disabled={progress !== null || size === 0}
              onClick={run}
              data-verb="check"
            >
              {progress ?? 'Check now'}
            </button>
            <button
              type="button"
              onClick={() => {
                setQuery('from', '0');
                setQuery('to', String(Math.max(0, size - 1)));
              }}
            >
              Whole ledger
            </button>
          </div>
          <ul class="steps" aria-live="polite">
            {shown(steps).map((step) => (
              <li key={step.title}>
                <Badge tone={step.tone}>{step.title}</Badge> <span>{step.says}</span>
              </li>
            ))}
          </ul>
        </Card>
        {bad.length > 0 && <Tampered findings={shown(bad)} />}
      </div>
      <Ways cli="evidence verify" api={`/api/v1/evidence/proof?seq=${seq}`} />
    </div>
  );
}

function exportLink(from: number): string {
  return `/api/v1/evidence/lines?from=${from}&limit=${BATCH}`;
}

function NumberField(props: { name: string; label: string; value: number; max: number }) {
  return (
    <label>
      {props.label}
      <input
        type="number"
        name={props.name}
        min="0"
        max={props.max}
        value={props.value}
        onChange={(event) => setQuery(props.name, event.currentTarget.value)}
      />
    </label>
  );
}

function Tampered({ findings }: { findings: ChainFinding[] }) {
  return (
    <section class="card wide tampered" role="alert" aria-label="Altered records">
      <h2>✗ The records do not hold together</h2>
      <ul>
        {findings.map((finding) => (
          <li key={`${finding.seq} ${finding.why}`}>
            <a href={`/timeline?seq=${finding.seq}`}>Record {finding.seq}</a>: {finding.why}
          </li>
        ))}
      </ul>
      <p>
        Stop trusting this ledger and compare with a copy: <code>davy evidence verify</code> names the file.
      </p>
    </section>
  );
}

type Tell = (step: Step) => void;

async function check(
  wanted: { from: number; to: number; seq: number },
  tell: Tell,
  setBad: (findings: ChainFinding[]) => void,
  progress: (text: string) => void,
): Promise<void> {
  const { from, to, seq } = wanted;
  const pinned = readPinned();
  const proof = await exact<ProofDoc>(
    `/api/v1/evidence/proof?seq=${seq}${pinned ? `&fromSize=${pinned.head.size}` : ''}`,
  );
  const head = await signature(proof, pinned, tell);
  const chain = await walk(from, Math.min(to, head.size - 1), progress);
  setBad(chain.findings);
  tell(
    chain.findings.length === 0
      ? {
          tone: 'good',
          title: 'Chain holds',
          says: `${count(chain.checked)} records, each naming the hash of the one before.`,
        }
      : {
          tone: 'bad',
          title: 'Chain is broken',
          says: `${chain.findings.length} places; the first is record ${chain.findings[0]?.seq}.`,
        },
  );
  await inclusion(proof, head, seq, tell);
  await consistency(proof, head, pinned, tell);
}

async function signature(proof: ProofDoc, pinned: Pinned | null, tell: Tell): Promise<Head> {
  const head = await openCheckpoint(proof.checkpoint, proof.vkey);
  const changed = pinned !== null && pinned.vkey !== proof.vkey && pinned.head.origin === head.origin;
  tell(
    changed
      ? {
          tone: 'warn',
          title: 'The key has changed',
          says: `It was ${pinned.vkey}; it is ${proof.vkey}. Was it rotated?`,
        }
      : {
          tone: 'good',
          title: 'Signature is valid',
          says: `Checkpoint over ${count(head.size)} records by ${proof.vkey}`,
        },
  );
  return head;
}

async function walk(from: number, to: number, progress: (text: string) => void): Promise<ChainCheck> {
  const chain = new ChainCheck(from);
  for (let at = from; at <= to; ) {
    const limit = Math.min(BATCH, to - at + 1);
    const lines = await linesOf(at, limit);
    if (lines.length === 0) {
      chain.findings.push({ seq: at, why: 'it is missing' });
      break;
    }
    await chain.accept(lines);
    at += lines.length;
    progress(`checked ${count(at - from)} of ${count(to - from + 1)} …`);
  }
  return chain;
}

async function linesOf(from: number, limit: number): Promise<string[]> {
  const text = await (await call('GET', `/api/v1/evidence/lines?from=${from}&limit=${limit}`)).text();
  return text.split('\n').slice(0, -1);
}

async function inclusion(proof: ProofDoc, head: Head, seq: number, tell: Tell): Promise<void> {
  const [line] = await linesOf(seq, 1);
  const holds =
    line !== undefined &&
    proof.inclusion !== null &&
    (await includes(proof.inclusion, seq, head.size, await leafHash(line), head.root));
  tell(
    holds
      ? {
          tone: 'good',
          title: `Record ${seq} is included`,
          says: `${proof.inclusion?.length} hashes lead from it to the signed root.`,
        }
      : {
          tone: 'bad',
          title: `Record ${seq} is not what was signed`,
          says: 'No path leads from these bytes to the signed root.',
        },
  );
}

/** Against the checkpoint that this browser saw first: whoever rewrote the past since then is found out. */
async function consistency(proof: ProofDoc, head: Head, pinned: Pinned | null, tell: Tell): Promise<void> {
  if (!pinned || pinned.head.origin !== head.origin) {
    writePinned({ vkey: proof.vkey, head, atMs: Date.now() });
    tell({
      tone: 'quiet',
      title: 'Remembered',
      says: `This browser had seen no checkpoint of ${head.origin}; the next check compares with this one.`,
    });
    return;
  }
  const holds =
    proof.consistency !== null &&
    (await grewFrom(proof.consistency, pinned.head.size, head.size, pinned.head.root, head.root));
  tell(
    holds
      ? {
          tone: 'good',
          title: 'It only grew',
          says: `The ${count(pinned.head.size)} records signed when this browser first looked are all still there, unaltered.`,
        }
      : {
          tone: 'bad',
          title: 'The past was rewritten',
          says: `The checkpoint of ${count(pinned.head.size)} records that this browser remembers is no beginning of this one.`,
        },
  );
}

function readPinned(): Pinned | null {
  try {
    return JSON.parse(localStorage.getItem(PINNED) ?? 'null') as Pinned | null;
  } catch {
    return null;
  }
}

function writePinned(pinned: Pinned): void {
  try {
    localStorage.setItem(PINNED, JSON.stringify(pinned));
  } catch {
    // A browser that keeps nothing can still check everything but growth.
  }
}
