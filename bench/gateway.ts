/**
 * `npm run bench:gateway [-- --rounds N] [--only TITLE] [--millions 10]`: the gateway against HAProxy, nginx and the npm proxies, one run, interleaved, load and
 * backend on core 0, the proxy on core 1. The primary figure is CPU time per request (schedstat, all threads), paired within
 * a round and reported as a ratio (`--only` names one row; only the proxies that it needs are started): wall-clock rates on a shared machine are not comparable, these ratios are.
 */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { GatewayAdmin } from '../src/traffic/gateway-admin.ts';
import { connectGateway } from '../src/traffic/gateway-driver.ts';
import { backendConfig, bodies, gatewayTable, haproxyConfig, nginxConfig, ports } from './gateway/config.ts';
import { Generator, runOpenLoop, runSlowHeads } from './gateway/latency.ts';
import {
  cpuMicros,
  median,
  needPrograms,
  quantile,
  reachable,
  rssMegabytes,
  startOn,
  stolenShare,
  wrk,
} from './gateway/machine.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    millions: { type: 'string', default: '0' },
    only: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
/** Requests of the memory run, in millions; it takes minutes. */
const millions = Number(options.millions);
const CERTIFICATES = join(import.meta.dirname, '../src/gateway/testing/certificates');

interface Target {
  name: string;
  port: number;
  process: ChildProcess;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const REAL_HEAD = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
  'Cache-Control: no-cache',
  'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all',
  'Referer: http://bench.example/some/page?with=query',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
];

interface Running {
  targets: Map<string, Target>;
  backend: ChildProcess;
  stop: () => void;
}

/** Starts the backend, the gateway, and those of the others that are wanted. */
async function startAll(dir: string, wanted: ReadonlySet<string>): Promise<Running> {
  const processes: ChildProcess[] = [];
  const targets = new Map<string, Target>();
  const write = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  mkdirSync(join(dir, 'www'));
  // nginx's worker reads the files as another user.
  chmodSync(dir, 0o755);
  for (const [name, size] of Object.entries(bodies)) writeFileSync(join(dir, 'www', name), Buffer.alloc(size, 97));
  writeFileSync(
    join(dir, 'tls.pem'),
    Buffer.concat([readFileSync(join(CERTIFICATES, 'one.pem')), readFileSync(join(CERTIFICATES, 'one.key'))]),
  );
  const backend = startOn(0, ['nginx', '-c', write('backend.conf', backendConfig(dir))]);
  processes.push(backend);
  await reachable(ports.backend);
  const start = async (name: string, port: number, argv: string[]): Promise<void> => {
    if (!wanted.has(name)) return;
    const child = startOn(1, argv);
    processes.push(child);
    await reachable(port);
    targets.set(name, { name, port, process: child });
  };
  const peer = (name: string, port: number) =>
    start(name, port, [
      process.execPath,
      join(import.meta.dirname, 'gateway/peer.ts'),
      name,
      String(port),
      String(ports.backend),
    ]);
  await start('haproxy', ports.haproxy, ['haproxy', '-f', write('haproxy.cfg', haproxyConfig(dir, 'bare'))]);
  await start('haproxy full', ports.haproxyFull, [
    'haproxy',
    '-f',
    write('haproxy-full.cfg', haproxyConfig(dir, 'full')),
  ]);
  await start('haproxy tls', ports.haproxyTls, ['haproxy', '-f', write('haproxy-tls.cfg', haproxyConfig(dir, 'tls'))]);
  await start('nginx', ports.nginx, ['nginx', '-c', write('nginx.conf', nginxConfig(dir, false))]);
  await start('nginx full', ports.nginxFull, ['nginx', '-c', write('nginx-full.conf', nginxConfig(dir, true))]);
  await peer('undici.dispatch', ports.undici);
  await peer('http.Agent', ports.agent);
  await peer('http-proxy', ports.httpProxy);
  await peer('http-proxy-3', ports.httpProxy3);
  await peer('fast-proxy', ports.fastProxy);
  // As `davy up` starts it: with the compile cache, which the first start fills.
  process.env.NODE_COMPILE_CACHE = join(dir, 'compile-cache');
  const primed = startOn(1, [process.execPath, join(import.meta.dirname, '../src/gateway/main.ts'), '--run-dir', dir]);
  while (!existsSync(join(dir, 'gateway.json'))) await new Promise((resolve) => setTimeout(resolve, 25));
  const ended = new Promise((resolve) => primed.on('exit', resolve));
  primed.kill('SIGTERM');
  await ended;
  rmSync(join(dir, 'gateway.json'), { force: true });
  const gateway = startOn(1, [
    process.execPath,
    '--min-semi-space-size=8',
    join(import.meta.dirname, '../src/gateway/main.ts'),
    '--run-dir',
    dir,
  ]);
  processes.push(gateway);
  while (!existsSync(join(dir, 'gateway.json'))) await new Promise((resolve) => setTimeout(resolve, 25));
  const client = connectGateway({ runDir: dir });
  await client.dataPlane.apply(gatewayTable(CERTIFICATES));
  await client.close();
  targets.set('gateway', { name: 'gateway', port: ports.gateway, process: gateway });
  targets.set('gateway tls', { name: 'gateway tls', port: ports.gatewayTls, process: gateway });
  const stop = (): void => {
    for (const child of processes.reverse()) child.kill('SIGTERM');
  };
  return { targets, backend, stop };
}

interface Case {
  title: string;
  path: string;
  connections: number;
  headers?: string[];
  https?: boolean;
  /** The first one is ours. Each other one: the least ratio of its cost to ours that the issue asks for. */
  contenders: [string, number][];
}

const cases: Case[] = [
  {
    title: 'small body, short head',
    path: '/tiny',
    connections: 64,
    contenders: [
      ['gateway', 1],
      ['haproxy', 0.8],
      ['haproxy full', 1],
      ['nginx', 0],
      ['nginx full', 0],
      ['undici.dispatch', 2],
      ['http.Agent', 0],
      ['http-proxy', 3],
      ['http-proxy-3', 3],
      ['fast-proxy', 3],
    ],
  },
  {
    title: 'small body, browser head',
    path: '/tiny',
    connections: 64,
    headers: REAL_HEAD,
    contenders: [
      ['gateway', 1],
      ['haproxy', 0.8],
      ['haproxy full', 1],
      ['nginx full', 0],
      ['undici.dispatch', 2],
      ['fast-proxy', 3],
    ],
  },
  {
    title: '1 KB body',
    path: '/k1',
    connections: 64,
    contenders: [
      ['gateway', 1],
      ['nginx', 0.8],
      ['haproxy', 0],
    ],
  },
  {
    title: '64 KB body',
    path: '/k64',
    connections: 64,
    contenders: [
      ['gateway', 1],
      ['nginx', 0.8],
      ['haproxy', 0],
    ],
  },
  {
    title: '1 MB body',
    path: '/m1',
    connections: 16,
    contenders: [
      ['gateway', 1],
      ['nginx', 0.8],
      ['haproxy', 0],
    ],
  },
  {
    title: 'TLS, keep-alive',
    path: '/tiny',
    connections: 64,
    https: true,
    contenders: [
      ['gateway tls', 1],
      ['haproxy tls', 0.75],
    ],
  },
];

interface Sample {
  micros: number;
  rps: number;
  errors: number;
}

function measure(target: Target, one: Case): Sample {
  const pid = target.process.pid as number;
  const before = cpuMicros(pid);
  const load = wrk(`${one.https === true ? 'https' : 'http'}://127.0.0.1:${target.port}${one.path}`, {
    connections: one.connections,
    seconds: 1,
    headers: one.headers ?? [],
  });
  return {
    micros: (cpuMicros(pid) - before) / Math.max(1, load.requests),
    rps: load.requests / load.seconds,
    errors: load.errors,
  };
}

function runCase(one: Case, targets: Map<string, Target>): void {
  const samples = new Map<string, Sample[]>(one.contenders.map(([name]) => [name, []]));
  for (const [name] of one.contenders) measure(targets.get(name) as Target, one);
  const lost: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? one.contenders : [...one.contenders].reverse();
    for (const [name] of order) samples.get(name)?.push(measure(targets.get(name) as Target, one));
    lost.push(stolenShare());
  }
  const [[own = ''] = []] = one.contenders;
  const mine = samples.get(own) as Sample[];
  say(`\n${one.title} (${rounds} rounds; core lost to others: median ${(median(lost) * 100).toFixed(0)} %)`);
  say('target             CPU µs/req   rps      cost ÷ ours (quartiles)   asked');
  for (const [name, asked] of one.contenders) {
    const list = samples.get(name) as Sample[];
    const ratios = list.map((sample, i) => sample.micros / (mine[i] as Sample).micros);
    const ratio = median(ratios);
    const verdict =
      name === own || asked === 0
        ? ''
        : `>= ${asked} ${ratio >= asked ? 'met' : `MISSED by ${((1 - ratio / asked) * 100).toFixed(0)} %`}`;
    const errors = list.reduce((sum, sample) => sum + sample.errors, 0);
    say(
      `${name.padEnd(18)} ${median(list.map((s) => s.micros))
        .toFixed(1)
        .padStart(
          9,
        )} ${(median(list.map((s) => s.rps)) / 1000).toFixed(1).padStart(8)}k   ${ratio.toFixed(2).padStart(6)} (${quantile(ratios, 0.25).toFixed(2)}-${quantile(ratios, 0.75).toFixed(2)})      ${verdict}${errors > 0 ? ` ${errors} ERRORS` : ''}`,
    );
  }
}

/** Resident memory and collector time over many requests. */
async function runLong(targets: Map<string, Target>, admin: GatewayAdmin): Promise<void> {
  const target = targets.get('gateway') as Target;
  const pid = target.process.pid as number;
  const seconds = async (name: string): Promise<number> =>
    Number(
      new RegExp(`^davy_gateway_${name}_seconds_total\\S* ([\\d.e-]+)`, 'm').exec(await admin.text('/metrics'))?.[1],
    );
  const before = { gc: await seconds('gc'), cpu: await seconds('cpu') };
  let requests = 0;
  let largest = 0;
  say(`\nmemory over ${millions} million requests`);
  while (requests < millions * 1e6) {
    requests += wrk(`http://127.0.0.1:${target.port}/tiny`, { connections: 64, seconds: 10 }).requests;
    largest = Math.max(largest, rssMegabytes(pid));
    say(`${(requests / 1e6).toFixed(1)} M requests   RSS ${rssMegabytes(pid).toFixed(0)} MB`);
  }
  const gcShare = ((await seconds('gc')) - before.gc) / ((await seconds('cpu')) - before.cpu);
  say(
    `largest RSS ${largest.toFixed(0)} MB (asked: at most 120) ${largest <= 120 ? 'met' : 'MISSED'}; collector ${(gcShare * 100).toFixed(2)} % of CPU time (asked: under 1) ${gcShare < 0.01 ? 'met' : 'MISSED'}`,
  );
}

const isChosen = (title: string): boolean => options.only === undefined || title.includes(options.only);

async function runLatencies(titles: readonly string[], backend: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => backend.once('exit', resolve));
  backend.kill('SIGTERM');
  await ended;
  const generator = await Generator.start();
  try {
    if (titles.includes('open loop')) await runOpenLoop(generator, Math.max(9, rounds * 3));
    if (titles.includes('slow heads')) await runSlowHeads(generator, Math.max(9, rounds));
  } finally {
    generator.stop();
  }
}

const dir = mkdtempSync(join(tmpdir(), 'davy-bench-'));
const missing = needPrograms({ nginx: 'nginx-light', haproxy: 'haproxy', wrk: 'wrk' });
if (missing.length > 0) {
  say(`skipped: ${missing.join(', ')} not installed (Debian packages nginx-light, haproxy, wrk)`);
} else {
  const chosen = cases.filter(({ title }) => isChosen(title));
  const latencies = ['open loop', 'slow heads'].filter(isChosen);
  const wanted = new Set(chosen.flatMap(({ contenders }) => contenders.map(([name]) => name)));
  if (latencies.length > 0) wanted.add('haproxy');
  const { targets, backend, stop } = await startAll(dir, wanted);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      stop();
      process.exit(130);
    });
  }
  try {
    for (const one of chosen) runCase(one, targets);
    if (millions > 0) {
      const admin = new GatewayAdmin({ runDir: dir });
      await runLong(targets, admin);
      await admin.close();
    }
    // Last: the generator takes the backend's place.
    if (latencies.length > 0) await runLatencies(latencies, backend);
    say(`\ngateway RSS ${rssMegabytes((targets.get('gateway') as Target).process.pid as number).toFixed(0)} MB`);
  } finally {
    stop();
    rmSync(dir, { recursive: true, force: true });
  }
}
