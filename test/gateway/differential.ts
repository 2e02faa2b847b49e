/**
 * The gateway beside nginx, on valid messages: the same conversation goes through both, and what the service receives and what the client
 * receives must be the same, but for the differences of the table below. The generator makes only messages whose meaning no RFC leaves open.
 */
import { once } from 'node:events';
import net from 'node:net';
import type { Dice } from '../../src/gateway/testing/fuzz.ts';
import { startGateway, type TestGateway } from '../../src/gateway/testing/harness.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { type Case, conversation } from './messages.ts';
import { type Nginx, startNginx } from './nginx.ts';
import { type Message, readAnswer, readRequest } from './wire.ts';

interface Difference {
  /** Field names that are left out of the comparison. */
  fields: string[];
  in: 'request' | 'answer';
  why: string;
}

/** Every difference between the two that is known and meant. Whatever is not named here must be the same. */
export const differences: Difference[] = [
  {
    in: 'request',
    fields: ['via', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'traceparent'],
    why: 'The gateway says that and for whom it forwards (RFC 9110 section 7.6.3) and begins a trace; nginx adds nothing unless told.',
  },
  {
    in: 'request',
    fields: ['transfer-encoding', 'content-length'],
    why: 'A chunked body is framed anew; nginx sends Content-Length when it already has the end. Compared when the client gave a length.',
  },
  {
    in: 'request',
    fields: ['max-forwards'],
    why: 'The gateway counts it down for OPTIONS and TRACE, as every intermediary must (section 7.6.2); nginx does not.',
  },
  {
    in: 'answer',
    fields: ['via'],
    why: 'As above; nginx does not send Via.',
  },
  {
    in: 'answer',
    fields: ['connection', 'keep-alive', 'transfer-encoding'],
    why: 'Of one hop: nginx says keep-alive where HTTP/1.1 need not. Which framing was used does not matter, the body is compared.',
  },
  {
    in: 'answer',
    fields: ['date'],
    why: 'Both add one where the service gave none (section 6.6.1), each at its own second. Compared when the service gave one.',
  },
];

/** Left out only where the side that the message comes from did not send them itself. */
const GIVEN_COUNT = { request: ['content-length'], answer: ['date'] };

function comparable(table: Difference[], message: Message, where: Difference['in'], given: Message): unknown {
  const left = new Set(table.filter((one) => one.in === where).flatMap(({ fields }) => fields));
  for (const name of GIVEN_COUNT[where]) if (given.fields.some(([one]) => one === name)) left.delete(name);
  // The order of lines of one name counts, that of names does not (RFC 9110 section 5.3).
  const fields = message.fields.filter(([name]) => !left.has(name)).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return { startLine: message.startLine, fields, body: message.body };
}

/** A service that records what it gets and answers as the conversation says. Connections are kept where the answer allows it. */
class Origin {
  port = 0;
  requests: Message[] = [];
  private answers: { octets: string; close: boolean }[] = [];
  private readonly server = net.createServer((socket) => this.serve(socket));
  private readonly sockets = new Set<net.Socket>();

  async listen(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as net.AddressInfo).port;
  }

  begin(cases: Case[]): void {
    this.requests = [];
    this.answers = cases.map(({ answer, answerEndsByClose }) => ({ octets: answer, close: answerEndsByClose }));
  }

  private serve(socket: net.Socket): void {
    let text = '';
    this.sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      for (let found = readRequest(text); found !== null; found = readRequest(text)) {
        text = found.rest;
        this.requests.push(found.message);
        const answer = this.answers.shift();
        if (answer === undefined) throw new Error('more requests than the conversation has');
        socket.write(Buffer.from(answer.octets, 'latin1'));
        if (answer.close) socket.end();
      }
    });
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

export class Differential {
  private readonly origins: { davy: Origin; nginx: Origin };
  private readonly gateway: TestGateway;
  private readonly nginx: Nginx;

  private constructor(origins: Differential['origins'], gateway: TestGateway, nginx: Nginx) {
    this.origins = origins;
    this.gateway = gateway;
    this.nginx = nginx;
  }

  static async start(program: string): Promise<Differential> {
    const origins = { davy: new Origin(), nginx: new Origin() };
    await origins.davy.listen();
    await origins.nginx.listen();
    const upstream = { port: origins.davy.port } as Parameters<typeof startGateway>[0]['stable'][number];
    const gateway = await startGateway({ stable: [upstream] });
    return new Differential(origins, gateway, await startNginx(program, await testPort(), origins.nginx.port));
  }

  /** One conversation through both. Throws with the first thing that differs and is not in the table. */
  async turn(dice: Dice, table = differences): Promise<void> {
    const cases = conversation(dice);
    const davy = await this.through(this.origins.davy, this.gateway.port, cases, dice);
    const nginx = await this.through(this.origins.nginx, this.nginx.port, cases, dice);
    cases.forEach(({ request, answer, method }, i) => {
      const at = JSON.stringify({ request: request.slice(0, 2000), answer: answer.slice(0, 2000) });
      const given = { request: readRequest(request.replace(/^\r\n/, '')), answer: readAnswer(answer, method, true) };
      for (const where of ['request', 'answer'] as const) {
        const origin = given[where]?.message as Message;
        const [left, right] = [davy[where][i] as Message, nginx[where][i] as Message];
        same(comparable(table, left, where, origin), comparable(table, right, where, origin), at);
      }
    });
  }

  private async through(
    origin: Origin,
    port: number,
    cases: Case[],
    dice: Dice,
  ): Promise<{ request: Message[]; answer: Message[] }> {
    origin.begin(cases);
    const text = await talk(port, Buffer.from(cases.map(({ request }) => request).join(''), 'latin1'), dice);
    const answers: Message[] = [];
    let rest = text;
    for (const { method, request } of cases) {
      const found = readAnswer(rest, method, true);
      if (found === null)
        throw new Error(`no whole answer on port ${port} to ${JSON.stringify(request)} in ${JSON.stringify(rest)}`);
      answers.push(found.message);
      rest = found.rest;
    }
    if (rest !== '') throw new Error(`octets behind the last answer: ${JSON.stringify(rest)}`);
    if (origin.requests.length !== cases.length)
      throw new Error(`${origin.requests.length} requests for ${cases.length}`);
    return { request: origin.requests, answer: answers };
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.nginx.stop();
    this.origins.davy.close();
    this.origins.nginx.close();
  }
}

function same(davy: unknown, nginx: unknown, at: string): void {
  const [left, right] = [JSON.stringify(davy), JSON.stringify(nginx)];
  if (left === right) return;
  let i = 0;
  while (left[i] === right[i]) i++;
  const from = Math.max(0, i - 80);
  throw new Error(`gateway …${left.slice(from, i + 200)}\nnginx   …${right.slice(from, i + 200)}\nfor ${at}`);
}

/** Sends octets in random pieces on one connection; resolves with everything received when the other side has closed. */
async function talk(port: number, octets: Buffer, dice: Dice): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  for (let at = 0; at < octets.length; ) {
    const end = Math.min(octets.length, at + 1 + dice.below(octets.length));
    socket.write(octets.subarray(at, end));
    at = end;
    if (dice.below(2) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  return Buffer.concat(pieces).toString('latin1');
}
