import { useEffect, useState } from 'preact/hooks';
import { formatBytes } from '../../../src/lib/units.ts';
import type { SystemDoc } from '../../../src/server/routes/system.ts';
import { get, type Problem, problemOf } from '../api.ts';
import { count, duration } from '../format.ts';
import { fleet, nowMs, receivedAtMs } from '../live.ts';
import { Badge, Card, Copy, Fact, Facts, Time, type Tone, Ways } from '../parts.tsx';

const TONES: Record<string, Tone> = {
  ready: 'good',
  starting: 'live',
  unhealthy: 'bad',
  'backing-off': 'bad',
  stopped: 'quiet',
};

/** One who keeps the ledger's checkpoints: what is covered, since when, and what is wrong. */
function Anchor({ anchor, nowMs: now }: { anchor: SystemDoc['ledger']['anchors'][number]; nowMs: number }) {
  const covers =
    anchor.size === null || anchor.atMs === null
      ? 'covers nothing yet'
      : `covers ${count(anchor.size)} records, ${duration(Math.max(0, now - anchor.atMs))} old`;
  if (anchor.problem === null) return <>{covers}</>;
  return (
    <>
      <Badge tone="bad">fails{anchor.sinceMs !== null && ` for ${duration(Math.max(0, now - anchor.sinceMs))}`}</Badge>{' '}
      {anchor.problem} It {covers}.
    </>
  );
}

/** What runs, in which version, and how far behind. */
export function System() {
  const [system, setSystem] = useState<SystemDoc | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = receivedAtMs.value;
  useEffect(() => {
    get<SystemDoc>('/api/v1/system').then(setSystem, (error) => setProblem(problemOf(error)));
  }, [at]);
  const instances = fleet.value?.services.flatMap((service) => service.instances) ?? [];
  return (
    <div class="system">
      <h1>System</h1>
      {problem && <p class="problem">{problem.sentence}</p>}
      {system && (
        <div class="cards">
          <Card title="Controller">
            <Facts>
              <Fact name="Davy">{system.version}</Fact>
              <Fact name="Node.js">
                {system.node} on {system.platform}
              </Fact>
              <Fact name="up since">
                <Time at={system.startedAtMs} /> ({duration(system.nowMs - system.startedAtMs)})
              </Fact>
              <Fact name="process">{system.controller.pid}</Fact>
              <Fact name="memory">{count(system.controller.rssBytes / 1e6)} MB</Fact>
              <Fact name="clock">
                {Math.abs(system.nowMs - nowMs.value) < 5_000
                  ? 'agrees with this browser'
                  : `differs from this browser by ${duration(Math.abs(system.nowMs - nowMs.value))}`}
              </Fact>
            </Facts>
          </Card>
          <Card
            title="Data plane"
            aside={
              system.traffic.problem === null ? (
                <Badge tone="good">in step</Badge>
              ) : (
                <Badge tone="bad">not in step</Badge>
              )
            }
          >
            <Facts>
              <Fact name="routing table in force">{system.traffic.generation ?? 'unknown'}</Fact>
              <Fact name="decided">{system.traffic.intendedGeneration}</Fact>
              <Fact name="fencing term">{system.traffic.term ?? 'unknown'}</Fact>
              <Fact name="boot">
                <code>{system.traffic.bootId ?? 'unknown'}</code>
              </Fact>
              {system.traffic.problem && <Fact name="problem">{system.traffic.problem}</Fact>}
            </Facts>
          </Card>
          <Card
            title="Ledger"
            aside={
              system.ledger.anchors.some((anchor) => anchor.problem !== null) ? (
                <Badge tone="bad">not kept outside</Badge>
              ) : system.ledger.late === 0 ? (
                <Badge tone="good">all durable</Badge>
              ) : (
                <Badge tone="bad">{system.ledger.late} late</Badge>
              )
            }
          >
            <Facts>
              <Fact name="records">{count(system.ledger.size)}</Fact>
              <Fact name="size of the log">
                {formatBytes(system.ledger.bytes)}
                {system.ledger.growth && `, ${formatBytes(system.ledger.growth.bytesPerDay)} a day`}
              </Fact>
              <Fact name="writer's term">{system.ledger.term}</Fact>
              <Fact name="key">
                <Copy text={system.ledger.vkey} />
              </Fact>
              {system.ledger.anchors.length === 0 && (
                <Fact name="kept outside by">nobody: its owner could rewrite it unseen</Fact>
              )}
              {system.ledger.anchors.map((anchor) => (
                <Fact key={anchor.name} name={anchor.name}>
                  <Anchor anchor={anchor} nowMs={system.nowMs} />
                </Fact>
              ))}
            </Facts>
          </Card>
          <Card title="Spec and limits">
            <Facts>
              <Fact name="SHA-256">
                <code class="hash">{system.spec.sha256}</code>
              </Fact>
              <Fact name="services">{system.spec.services}</Fact>
              <Fact name="policies">{system.spec.policies.join(', ')}</Fact>
              <Fact name="limits">
                request body 64 KiB · page of records 1 000 · points of a chart 600 · releases listed 200
              </Fact>
            </Facts>
          </Card>
          <Card title="Instances" wide>
            <div class="tablebox">
              <table>
                <thead>
                  <tr>
                    <th scope="col">instance</th>
                    <th scope="col">state</th>
                    <th scope="col">address</th>
                    <th scope="col">process</th>
                    <th scope="col">restarts</th>
                    <th scope="col">up since</th>
                    <th scope="col">problem</th>
                  </tr>
                </thead>
                <tbody>
                  {instances.map((one) => (
                    <tr key={one.id}>
                      <th scope="row">{one.id}</th>
                      <td>
                        <Badge tone={TONES[one.phase] ?? 'quiet'}>{one.phase}</Badge>
                      </td>
                      <td>
                        {one.host}:{one.port}
                      </td>
                      <td>{one.pid ?? '–'}</td>
                      <td>{one.restarts}</td>
                      <td>{one.startedAtMs === null ? '–' : <Time at={one.startedAtMs} />}</td>
                      <td>{one.problem ?? ''}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </Card>
        </div>
      )}
      <Ways cli="status" api="/api/v1/system" />
    </div>
  );
}
