import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { Channel } from '../net/channel.ts';
import {
  block,
  connectFrames,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PREFACE,
  RST_STREAM,
  requestHead,
} from '../testing/h2-frames.ts';
import { answering, get, statusOf } from '../testing/harness.ts';
import { openedForTest } from '../testing/opened.ts';
import { FrameScan } from './frame-scan.ts';
import { Pace } from './pace.ts';
import { Wire } from './wire.ts';

const { gatewayTo, upstream } = openedForTest();
const CANCEL = Buffer.from([0, 0, 0, 8]);
const GET = block([[':method', 'GET']]);
const head = (stream: number) => frame(HEADERS, END_HEADERS | END_STREAM, stream, GET);
const heads = (count: number) => Buffer.concat(Array.from({ length: count }, (_, i) => head(2 * i + 1)));

/** A wire whose octets go nowhere but into `got`, one entry for each turn in which some came. */
async function wireAt(pace: Pace) {
  const log: string[] = [];
  const channel = { pause: () => log.push('pause'), resume: () => log.push('resume'), destroy: () => {} };
  const wire = new Wire(new FrameScan('client'), () => {}, pace);
  wire.attach(channel as unknown as Channel);
  const got: number[] = [];
  const octets: Buffer[] = [];
  let open = false;
  wire.on('data', (piece: Buffer) => {
    octets.push(piece);
    const frames = piece.length / head(1).length;
    if (open) got[got.length - 1]! += frames;
    else got.push(frames);
    open = true;
    setImmediate(() => {
      open = false;
    });
  });
  const feed = (all: Buffer) => wire.onBytes(all, 0, all.length);
  feed(PREFACE);
  await nextTurn();
  octets.length = got.length = 0;
  return { wire, got, log, feed, text: () => Buffer.concat(octets) };
}

describe('the frames that a client sends at once', () => {
  it('are worked off over many turns, in their order, and nothing is read meanwhile', async () => {
    const { got, log, feed, text } = await wireAt(new Pace());
    const all = heads(200);
    feed(all);
    expect(log.at(-1)).toBe('pause');
    while (text().length < all.length) await nextTurn();
    expect(text().equals(all)).toBe(true);
    expect(Math.max(...got)).toBeLessThanOrEqual(32);
    expect(log.at(-1)).toBe('resume');
  });

  it('wait for their turn behind those of others who came before', async () => {
    const pace = new Pace();
    const wires = await Promise.all([wireAt(pace), wireAt(pace), wireAt(pace)]);
    for (const { feed } of wires) feed(heads(100));
    const length = heads(100).length;
    const [, second, third] = wires.map(
      ({ text }) =>
        () =>
          text().length / head(1).length,
    ) as (() => number)[];
    const ahead: number[] = [];
    while (wires.some(({ text }) => text().length < length)) {
      await nextTurn();
      ahead.push(Math.abs(second!() - third!()));
    }
    // The first one began before the others came. They go on together from then on.
    expect(Math.max(...ahead)).toBeLessThanOrEqual(8);
    expect(wires.every(({ text }) => text().equals(heads(100)))).toBe(true);
  });

  it('come before the end of the connection, and are dropped with it when it breaks', async () => {
    const ended = await wireAt(new Pace());
    ended.feed(heads(100));
    ended.wire.onEnd();
    await once(ended.wire, 'end');
    expect(ended.text().equals(heads(100))).toBe(true);

    const broken = await wireAt(new Pace());
    broken.feed(heads(100));
    broken.wire.onClose(new Error('reset'));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    expect(broken.text().length).toBeLessThan(heads(100).length);
  });

  it('may be thousands of streams that are reset: others are served between them, and no instance hears of it', async () => {
    const service = await upstream(answering());
    const gateway = await gatewayTo({ stable: [service] });
    expect(statusOf(await gateway.exchange(get('/before')))).toBe(200);
    const client = await connectFrames(gateway.port);
    const attack = Array.from({ length: 800 }, (_, i) => [
      requestHead(2 * i + 1),
      frame(RST_STREAM, 0, 2 * i + 1, CANCEL),
    ]);
    let turns = 0;
    let counting = true;
    const count = (): void => {
      turns++;
      if (counting) setImmediate(count);
    };
    count();
    client.send(...attack.flat(), requestHead(2001, [[':path', '/last']]));
    await until(() => service.received().includes('GET /last '));
    counting = false;
    expect(turns).toBeGreaterThan(800 / 32);
    expect(service.received().match(/GET /g)).toHaveLength(2);
    await until(() => client.isOver(2001));
    expect(client.of(2001).some(({ type }) => type === DATA)).toBe(true);
    client.socket.destroy();
  });
});
