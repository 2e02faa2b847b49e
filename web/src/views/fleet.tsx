import type { FleetDoc, ReleaseDoc } from '../../../src/server/schemas.ts';
import { percent, weight } from '../format.ts';
import { fleet, past, releases } from '../live.ts';
import { narrow } from '../narrow.ts';
import { Badge, Empty, ShareBar, Time, type Tone, Ways } from '../parts.tsx';
import { query, setQuery } from '../route.ts';
import { VirtualList } from '../virtual-list.tsx';
import { GROUPS, type Group, groupOf, isInFlight, nextChange, stateOf, verdictTone } from '../words.ts';

const ROW_PX = 68;
const NARROW_ROW_PX = 96;
type Service = FleetDoc['services'][number];

type Row =
  | { kind: 'release'; release: ReleaseDoc }
  | { kind: 'service'; service: Service }
  | { kind: 'title'; text: string };

/** Every service and release; what needs a person comes first. */
export function Fleet() {
  const document = fleet.value;
  if (!document) return <p class="muted pad">Waiting for the first answer …</p>;
  const wanted = query.value.get('show') as Group | 'services' | null;
  const text = (query.value.get('q') ?? '').toLowerCase();
  const all = releases.value;
  const rows = rowsOf(document, all, wanted, text);
  return (
    <div class="fleet">
      <h1 class="hidden">Fleet</h1>
      <div class="bar">
        <Counters all={all} services={document.services} wanted={wanted} />
        <input
          type="search"
          placeholder="Search: name, v2, service-b-1, !word …  ( / )"
          aria-label="Search services and releases"
          value={query.value.get('q') ?? ''}
          onInput={(event) => setQuery('q', event.currentTarget.value)}
        />
      </div>
      {rows.length === 0 ? (
        <Empty title="Nothing fits the filter." />
      ) : (
        <VirtualList
          count={rows.length}
          rowHeight={narrow.value ? NARROW_ROW_PX : ROW_PX}
          label="Services and releases"
          row={(index) => <FleetRow row={rows[index] as Row} />}
        />
      )}
      {all.length === 0 && (
        <Empty title="No release yet." command={releaseCommand(document)}>
          This starts one:
        </Empty>
      )}
      <Ways cli="status -w" api="/api/v1/fleet" />
    </div>
  );
}

function releaseCommand(document: FleetDoc): string {
  const service = document.services[0];
  const other = service?.instances.find((instance) => instance.version !== service.stable)?.version;
  return `davy release ${service?.name ?? 'SERVICE'} ${other ?? 'VERSION'} --reason "…"`;
}

/** Words that must occur; `!word` must not. */
function fits(haystack: string, text: string): boolean {
  return text
    .split(/\s+/)
    .filter((word) => word !== '' && word !== '!')
    .every((word) => (word.startsWith('!') ? !haystack.includes(word.slice(1)) : haystack.includes(word)));
}

function rowsOf(document: FleetDoc, all: ReleaseDoc[], wanted: Group | 'services' | null, text: string): Row[] {
  const rows: Row[] = [];
  for (const group of GROUPS) {
    if (wanted !== null && wanted !== group.id) continue;
    const some = all.filter(
      (one) =>
        groupOf(one) === group.id &&
        fits(`${one.id} ${one.service} ${one.version} ${stateOf(one).word} ${one.verdict}`.toLowerCase(), text),
    );
    rows.push(...some.map((release) => ({ kind: 'release' as const, release })));
    if (group.id === 'in-flight' && wanted === null) rows.push(...servicesOf(document, text));
  }
  return wanted === 'services' ? servicesOf(document, text) : rows;
}

function servicesOf(document: FleetDoc, text: string): Row[] {
  return document.services
    .filter((service) => fits(`${service.name} ${service.stable} ${service.canary ?? ''}`.toLowerCase(), text))
    .sort((a, b) => unfit(b) - unfit(a))
    .map((service) => ({ kind: 'service', service }));
}

function unfit(service: Service): number {
  return service.instances.filter((one) => one.phase === 'unhealthy' || one.phase === 'backing-off').length;
}

function Counters(props: { all: ReleaseDoc[]; services: Service[]; wanted: string | null }) {
  const counters: { id: string; label: string; tone: Tone; count: number }[] = [
    ...GROUPS.map((group) => ({ ...group, count: props.all.filter((one) => groupOf(one) === group.id).length })),
    { id: 'services', label: 'services', tone: 'quiet', count: props.services.length },
  ];
  return (
    <fieldset class="counters">
      <legend class="hidden">Show only</legend>
      {counters.map(({ id, label, tone, count }) => (
        <button
          key={id}
          type="button"
          class={`counter ${tone}`}
          aria-pressed={props.wanted === id}
          onClick={() => setQuery('show', props.wanted === id ? '' : id)}
        >
          <strong>{count}</strong> {label}
        </button>
      ))}
    </fieldset>
  );
}

function FleetRow({ row }: { row: Row }) {
  if (row.kind === 'title') return <h2>{row.text}</h2>;
  return row.kind === 'release' ? <ReleaseRow release={row.release} /> : <ServiceRow service={row.service} />;
}

function ReleaseRow({ release }: { release: ReleaseDoc }) {
  const state = stateOf(release);
  const live = isInFlight(release);
  return (
    <a class={`line ${groupOf(release)}`} href={`/releases/${encodeURIComponent(release.id)}`}>
      <span class="who">
        <strong>{release.service}</strong>
        <span class="muted">
          {release.from} → {release.version} · {release.id}
        </span>
      </span>
      <span class="what">
        <Badge tone={state.tone}>{state.word}</Badge>
        {live && <Badge tone={verdictTone(release.verdict)}>{release.verdict}</Badge>}
      </span>
      <span class="share">
        {live ? (
          <>
            <ShareBar
              measured={past.value ? release.weightBp / 10_000 : measuredShare(release)}
              intended={release.weightBp / 10_000}
              label={`${weight(release.weightBp)} decided, ${percent(measuredShare(release))} measured at this step`}
            />
            <span class="muted">
              {weight(release.weightBp)} · step {release.step + 1} of {release.steps.length}
            </span>
          </>
        ) : (
          <span class="muted">ended {release.endedAtMs !== null && <Time at={release.endedAtMs} />}</span>
        )}
      </span>
      <span class="why">
        {live ? (release.held?.reason ?? release.paused?.reason ?? nextChange(release)) : release.endReason}
      </span>
    </a>
  );
}

/** Share of the canary among the counted requests of this step. */
function measuredShare(release: ReleaseDoc): number | null {
  const step = release.counts.at(-1);
  const all = step ? step.canaryRequests + step.stableRequests : 0;
  return step && all > 0 ? step.canaryRequests / all : null;
}

function ServiceRow({ service }: { service: Service }) {
  const then = past.value?.services.find((one) => one.name === service.name);
  const bad = unfit(service);
  const ready = service.instances.filter((one) => one.version === service.stable && one.phase === 'ready').length;
  const all = service.instances.filter((one) => one.version === service.stable).length;
  return (
    <a class="line service" href={`/topology?service=${encodeURIComponent(service.name)}`}>
      <span class="who">
        <strong>{service.name}</strong>
        <span class="muted">service on port {service.listenPort}</span>
      </span>
      <span class="what">{bad > 0 ? <Badge tone="bad">{bad} not fit</Badge> : <Badge tone="good">fit</Badge>}</span>
      <span class="share">
        <span>stable {then?.stable ?? service.stable}</span>
        <span class="muted">
          {ready} of {all} ready
        </span>
      </span>
      <span class="why">{(then ? then.active : service.active) ?? 'no release in flight'}</span>
    </a>
  );
}
