import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Look } from '../../../src/analysis/judge.ts';
import type { CollectedFile } from '../../../src/ledger/collector.ts';
import { openMemoryLedger } from '../../../src/ledger/memory-ledger.ts';
import type { JsonObject, LedgerRecord } from '../../../src/ledger/record.ts';
import { createVirtualClock } from '../../../src/lib/virtual-clock.ts';
import { policy } from '../../../src/release/release.fixture.ts';
import { dashboardSource } from '../../../src/reports/dashboard-source.ts';

const FILE = join(import.meta.dirname, 'release.html');
const EDGES = [50, 100, 250, 500];
const HOSTILE = 'v2"><script>alert(1)</script>';

/** A look at `weightBp` in which the canary fails `bad` of its requests; null saw nothing. */
function look(stepIndex: number, weightBp: number, bad: number | null): Look {
  const canary = Math.round(weightBp / 10);
  const stable = 1_000 - canary;
  const over = (requests: number) => [0.9, 0.4, 0.04, 0].map((share) => Math.round(requests * share));
  const arm = (instance: string, requests: number, errors: number) => ({
    instance,
    requests,
    errors,
    over: over(requests),
  });
  const versions = { [HOSTILE]: [arm('a/2', canary, bad ?? 0)], v1: [arm('a/1', stable, 1)] };
  const tick = bad === null ? null : { t: 0, dtMs: 1_000, edges: EDGES, versions };
  return { dtMs: 1_000, tick, stepIndex, weightBp, ...(tick === null && { problem: 'the gateway did not answer' }) };
}

/** A release that is raised once and rolled back, beside one of which nothing must show. */
async function story() {
  const clock = createVirtualClock();
  const ledger = await openMemoryLedger({ clock });
  const source = dashboardSource(ledger);
  const files: (CollectedFile | null)[] = [];
  const write = async (type: string, data: JsonObject, release = 'shop-1'): Promise<LedgerRecord> => {
    const event = { type, stream: `release/${release}`, data: { release, ...data } };
    const [record] = await ledger.append([event]);
    if (record && source.wants(record)) files.push(await source.collect(record));
    return record!;
  };
  const looks = async (all: Look[], release = 'shop-1'): Promise<void> => {
    await clock.advance(all.length * 1_000);
    await write('release.observed', { looks: all as unknown as JsonObject[] }, release);
  };
  const request = { service: 'shop', version: HOSTILE, from: 'v1', startWithinMs: 1, reason: 'a & b <i>' };
  await write('release.requested', { ...request, policy: policy as unknown as JsonObject });
  await write('release.requested', { ...request, policy: policy as unknown as JsonObject }, 'shop-2');
  await write('release.step.decided', { step: 0, weightBp: 1_000, why: 'started', reason: 'ready', judgement: null });
  await looks(Array.from({ length: 12 }, (_, i) => look(0, 1_000, i % 4 === 0 ? 1 : 0)));
  await looks([look(0, 1_000, 100)], 'shop-2');
  await write('release.step.decided', { step: 1, weightBp: 5_000, why: 'evidence', reason: 'proven', judgement: null });
  await looks([...Array.from({ length: 6 }, () => look(1, 5_000, 2)), look(1, 5_000, null), look(1, 5_000, 140)]);
  await write('release.rollback.decided', { cause: 'statistical', reason: 'worse than stable', judgement: null });
  await write('release.rolledback', { exposure: null, secondsToZero: 0.7 });
  return { ledger, files, write };
}

describe('the dashboard of a release', () => {
  it('comes at every verdict that moves its weight and at its end, as it was then', async () => {
    const { files } = await story();
    const collected = files.filter((file) => file !== null);
    expect(collected.map(({ name }) => name)).toEqual([
      'dashboard-step-decided.html',
      'dashboard-rollback-decided.html',
      'dashboard-rolledback.html',
    ]);
    expect(collected[0]!.desc).toBe(
      'Dashboard of shop-1 at "release.step.decided" (record 6): error rate, latency and request split',
    );
    expect(String(collected[0]!.content)).not.toContain('step 2 at');
    expect(String(collected[1]!.content)).toContain('step 2 at 50%');
  });

  it('is the page that it was', async () => {
    const html = String((await story()).files.at(-1)!.content);
    if (process.env.UPDATE === '1') await writeFile(FILE, html);
    expect(html).toBe(await readFile(FILE, 'utf8'));
  });

  it('draws the three panels, their figures as text, and nothing of another release', async () => {
    const html = String((await story()).files.at(-1)!.content);
    for (const title of ['Error rate', 'Latency', 'Request split']) expect(html).toContain(`<h2>${title}</h2>`);
    for (const name of ['p50', 'p75', 'p95', 'p99']) expect(html).toContain(`<td>${name}</td>`);
    expect(html).toContain('<td>3 of 1,200</td>');
    expect(html).toContain('<td>152 of 3,500</td>');
    expect(html).toContain('OVER the limit');
    expect(html).toContain('1 of them saw nothing');
    expect(html).toContain('0.7 s after the decision');
  });

  it('runs no script, asks for nothing, and shows hostile names as text', async () => {
    const html = String((await story()).files.at(-1)!.content);
    expect(html).not.toMatch(/<script|<img|javascript:|\son\w+=|https?:|url\(|@import/i);
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).toContain('a &amp; b &lt;i&gt;');
    expect(html).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  it('is the same when the process that saw the request is gone', async () => {
    const { ledger, files } = await story();
    const later = dashboardSource(ledger);
    for await (const record of ledger.read(0)) {
      if (record.type !== 'release.rolledback') continue;
      expect(await later.collect(record)).toEqual(files.at(-1));
    }
  });

  it('of a release that ended before any look says that nothing was measured', async () => {
    const { files, write } = await story();
    await write('release.cancelled', { reason: 'superseded' }, 'shop-3');
    expect(files.at(-1)).toBeNull();
    const request = { service: 'shop', version: 'v9', from: 'v1', startWithinMs: 1, reason: '' };
    await write('release.requested', { ...request, policy: policy as unknown as JsonObject }, 'shop-4');
    await write('release.cancelled', { reason: 'superseded' }, 'shop-4');
    expect(String(files.at(-1)!.content)).toContain('Nothing was measured');
  });
});
