import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../../src/gateway/testing/harness.ts';
import { findChromium, mustHave, openBrowser } from '../engines.ts';
import { FILE_BYTES, type Origin, startOrigin } from '../gateway/origin.ts';

const engine = findChromium();
const CERTIFICATES = join(import.meta.dirname, '../../src/gateway/testing/certificates');
const pem = (name: string) => join(CERTIFICATES, name);
const TLS = { certificates: [{ names: [], certFile: pem('one.pem'), keyFile: pem('one.key') }] };

/** What a page of our users does: parts, a fetch, a stream that is read as it comes, a large file, an upload, a WebSocket. */
const PAGE = `<!doctype html><title>through the gateway</title><link rel=stylesheet href=/style.css>
<h1>hello</h1><img src=/pixel.gif alt="">`;

/** Runs in the page, and resolves with what it saw. */
const VISIT = `(async () => {
  const image = document.querySelector('img');
  const posted = await (await fetch('/echo', { method: 'POST', body: 'x'.repeat(300000) })).json();
  const reader = (await fetch('/stream?asked')).body.getReader();
  let text = '';
  let pieces = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += new TextDecoder().decode(part.value);
    pieces++;
    await fetch('/next');
  }
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => fetch('/echo?' + i).then((one) => one.json())));
  const size = (await (await fetch('/file')).arrayBuffer()).byteLength;
  const aborter = new AbortController();
  const aborted = fetch('/file', { signal: aborter.signal }).then((answer) => {
    aborter.abort();
    return answer.arrayBuffer();
  }).then(() => 'whole', (error) => error.name);
  const socket = new WebSocket(location.href.replace('http', 'ws'));
  const heard = [];
  const closed = await new Promise((resolve) => {
    socket.onopen = () => socket.send('one');
    socket.onmessage = ({ data }) => {
      heard.push(data);
      if (heard.length < 3) socket.send(['two', 'three'][heard.length - 1]);
      else socket.close(1000, 'bye');
    };
    socket.onclose = ({ code, wasClean }) => resolve({ code, clean: wasClean });
  });
  return {
    colour: getComputedStyle(document.querySelector('h1')).color,
    image: image.complete && image.naturalWidth,
    posted: posted.bytes,
    text,
    pieces,
    many: many.map((one) => one.url),
    size,
    aborted: await aborted,
    heard,
    closed,
    protocols: [...new Set(performance.getEntries().map((entry) => entry.nextHopProtocol).filter(Boolean))],
  };
})()`;

/** An upload that is made while it is sent: 20 pieces of 10,000 octets. */
const UPLOAD = `(async () => {
  let n = 0;
  const body = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      controller.enqueue(new Uint8Array(10000));
      if (++n === 20) controller.close();
    },
  });
  return (await (await fetch('/echo', { method: 'POST', body, duplex: 'half' })).json()).bytes;
})()`;

describe.skipIf(!mustHave(engine, 'Chromium'))('a browser through the gateway', () => {
  let browser: Browser;
  let origin: Origin;
  let gateway: TestGateway;

  beforeAll(async () => {
    origin = await startOrigin(PAGE);
    browser = await openBrowser(engine as string);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    origin?.close();
  });

  it.each([
    ['plain', 'http', {}, 'http/1.1'],
    ['over TLS, by HTTP/2', 'https', { tls: TLS }, 'h2'],
  ] as const)('%s: page, parts, fetches, streams, abort and WebSocket', async (_what, scheme, route, protocol) => {
    await gateway?.close();
    gateway = await startGateway({ stable: [{ port: origin.port } as never], route: route as object });
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => {
      if (!request.failure()?.errorText.includes('ERR_ABORTED')) complaints.push(`${request.url()} failed`);
    });
    await page.goto(`${scheme}://127.0.0.1:${gateway.port}/`);
    expect(await page.evaluate(VISIT)).toEqual({
      colour: 'rgb(1, 2, 3)',
      image: 1,
      posted: 300_000,
      text: 'piece 1\npiece 2\npiece 3\npiece 4\npiece 5\n',
      pieces: 5,
      many: Array.from({ length: 40 }, (_, i) => `/echo?${i}`),
      size: FILE_BYTES,
      aborted: 'AbortError',
      heard: ['ONE', 'TWO', 'THREE'],
      closed: { code: 1000, clean: true },
      protocols: [protocol],
    });
    expect(complaints).toEqual([]);
    const [instance] = gateway.engine.counters().services[0]!.instances;
    expect(instance!.outcome).toMatchObject({ status5xx: 0, timeouts: 0, resets: 0 });
    await context.close();
  });

  it('streams an upload over HTTP/2 as it is made', async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await page.goto(`https://127.0.0.1:${gateway.port}/`);
    expect(await page.evaluate(UPLOAD)).toBe(200_000);
    await context.close();
  });
});
