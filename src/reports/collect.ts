import { request } from 'undici';
import { type Clock, sleep } from '../lib/clock.ts';
import { clip, oneLine } from '../lib/outside-text/visible.ts';
import { own, setOwn } from '../lib/own.ts';
import type { FleetDoc } from '../server/schemas.ts';
import type { DistributionSample } from './bi-daily.ts';
import { parseExposition, type Sample } from './exposition.ts';

/** A file as it is found, before it is stored. */
export interface CollectedFile {
  name: string;
  type: string;
  desc: string;
  content: string;
}

const timeoutMs = 10_000;
/** The spec takes no other names for versions. */
const versionPattern = /^[A-Za-z0-9][-._A-Za-z0-9]{0,62}$/;

/** Sends requests through the gateway and counts the versions that answer (`x-version`, or `version` in a JSON body). */
export async function sampleVersions(
  fleet: FleetDoc,
  serviceName: string,
  requests: number,
): Promise<DistributionSample & { lines: string[] }> {
  const service = fleet.services.find((one) => one.name === serviceName);
  const counts: Record<string, number> = {};
  const lines: string[] = [];
  for (let i = 1; i <= requests && service; i++) {
    const version = await versionOf(`http://127.0.0.1:${service.listenPort}/`);
    setOwn(counts, version, (own(counts, version) ?? 0) + 1);
    lines.push(`${String(i).padStart(4)} ${version}`);
  }
  const weight = service?.canary ? service.weightBp / 10_000 : null;
  return { service: serviceName, weight, canary: service?.canary ?? null, counts, lines };
}

/** What a service calls itself is its own word. */
function nameOf(said: string): string {
  return versionPattern.test(said) ? said : `no version: ${clip(oneLine(said), 40)}`;
}

async function versionOf(url: string): Promise<string> {
  try {
    const answer = await request(url, { headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
    const header = answer.headers['x-version'];
    const text = await answer.body.text();
    if (answer.statusCode >= 500) return `status ${answer.statusCode}`;
    if (typeof header === 'string') return nameOf(header);
    const { version } = JSON.parse(text) as { version?: unknown };
    return typeof version === 'string' ? nameOf(version) : 'unknown';
  } catch {
    return 'unknown';
  }
}

/** The canary's request rate from two scrapes, as a Prometheus `rate` would show it. */
export async function canaryRate(
  scrape: () => Promise<string>,
  service: string,
  version: string,
  clock: Clock,
): Promise<CollectedFile> {
  const overMs = 5_000;
  const before = total(parseExposition(await scrape()), service, version);
  const startMs = clock.monoMs();
  await sleep(clock, overMs);
  const after = total(parseExposition(await scrape()), service, version);
  const seconds = (clock.monoMs() - startMs) / 1000;
  const query = `sum(rate(istio_requests_total{destination_service_name="${service}",destination_version="${version}"}[${overMs / 1000}s]))`;
  const lines = [
    `query: ${query}`,
    `from ${before} to ${after} in ${seconds.toFixed(2)} s`,
    `value: ${((after - before) / seconds).toFixed(3)} requests per second`,
  ];
  return {
    name: `prometheus-canary-${version}.log`,
    type: 'text/plain',
    desc: `Prometheus canary ${version} rate`,
    content: `${lines.join('\n')}\n`,
  };
}

function total(samples: readonly Sample[], service: string, version: string): number {
  return samples
    .filter(
      ({ name, labels }) =>
        name === 'istio_requests_total' &&
        labels.destination_service_name === service &&
        labels.destination_version === version,
    )
    .reduce((sum, sample) => sum + sample.value, 0);
}

/** Every address that is scraped or checked, and whether it answers. */
export function targetsFile(fleet: FleetDoc, scrapeUrl: string): CollectedFile {
  const rows = fleet.services.flatMap((service) =>
    service.instances.map(
      (one) =>
        `${one.phase === 'ready' ? 'up' : 'down'} job="${service.name}" version="${one.version}" instance="${one.host}:${one.port}"${one.problem ? ` lastError="${one.problem}"` : ''}`,
    ),
  );
  const lines = [`up job="davy" instance="${scrapeUrl}"`, ...rows];
  return {
    name: 'prometheus-targets.log',
    type: 'text/plain',
    desc: 'Prometheus targets',
    content: `${lines.join('\n')}\n`,
  };
}
