import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { HostAddress } from './host-address.ts';

interface Answer {
  addresses?: string[];
  code?: string;
}

/** A host whose name resolves to whatever `answer` says at the time. */
function hostWith(answer: Answer, host = 'a.test') {
  const moves: (string | null)[] = [];
  const lookup: net.LookupFunction = (name, _options, done) => {
    const { addresses = [], code } = answer;
    if (code !== undefined) done(Object.assign(new Error(`${name} failed`), { code }), '');
    else
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
  };
  const hostAddress = new HostAddress(host, { lookup, onMoved: () => moves.push(hostAddress.current) });
  const resolve = (all = true) =>
    new Promise<unknown>((resolve) =>
      hostAddress.lookup(host, { all }, (error, found) =>
        resolve(error?.code ?? (typeof found === 'string' ? found : found.map(({ address }) => address))),
      ),
    );
  return { hostAddress, resolve, moves };
}

describe('the address of a host that is in use', () => {
  it('is an address itself, for good, where the host is one', () => {
    const { hostAddress, moves } = hostWith({}, '127.0.0.1');
    hostAddress.reached('::1');
    expect(hostAddress.current).toBe('127.0.0.1');
    expect(moves).toEqual([]);
  });

  it('is none before the first connection: the addresses come in the order of the resolver', async () => {
    const { hostAddress, resolve } = hostWith({ addresses: ['::1', '127.0.0.1'] });
    expect(await resolve()).toEqual(['::1', '127.0.0.1']);
    expect(await resolve(false)).toBe('::1');
    expect(hostAddress.current).toBe(null);
  });

  it('comes first from then on, in whatever order the resolver gives them', async () => {
    const answer: Answer = { addresses: ['::1', '127.0.0.1'] };
    const { hostAddress, resolve, moves } = hostWith(answer);
    hostAddress.reached('127.0.0.1');
    expect(await resolve()).toEqual(['127.0.0.1', '::1']);
    answer.addresses = ['10.0.0.1', '::1', '127.0.0.1'];
    expect(await resolve()).toEqual(['127.0.0.1', '10.0.0.1', '::1']);
    expect(await resolve(false)).toBe('127.0.0.1');
    expect(moves).toEqual(['127.0.0.1']);
  });

  it('is given up when the name has it no more, and at once', async () => {
    const answer: Answer = { addresses: ['127.0.0.2'] };
    const { hostAddress, resolve, moves } = hostWith(answer);
    hostAddress.reached('127.0.0.2');
    answer.addresses = ['127.0.0.3'];
    expect(await resolve()).toEqual(['127.0.0.3']);
    hostAddress.reached('127.0.0.3');
    expect(moves).toEqual(['127.0.0.2', null, '127.0.0.3']);
  });

  it('moves when another one was connected to, because it could not be', async () => {
    const { hostAddress, resolve, moves } = hostWith({ addresses: ['127.0.0.2', '127.0.0.3'] });
    hostAddress.reached('127.0.0.2');
    hostAddress.reached('127.0.0.3');
    expect(await resolve()).toEqual(['127.0.0.3', '127.0.0.2']);
    expect(moves).toEqual(['127.0.0.2', '127.0.0.3']);
  });

  it('is tried behind the others once it was passed over, until one of them is in use', async () => {
    const { hostAddress, resolve } = hostWith({ addresses: ['127.0.0.2', '127.0.0.3'] });
    hostAddress.reached('127.0.0.2');
    hostAddress.passOver();
    expect(await resolve()).toEqual(['127.0.0.3', '127.0.0.2']);
    hostAddress.reached('127.0.0.2');
    expect(await resolve()).toEqual(['127.0.0.3', '127.0.0.2']);
    hostAddress.reached('127.0.0.3');
    expect(await resolve()).toEqual(['127.0.0.3', '127.0.0.2']);
  });

  it('passed over again and again, each address of the name has its turn', async () => {
    const { hostAddress, resolve } = hostWith({ addresses: ['127.0.0.2', '127.0.0.3', '127.0.0.4'] });
    const reached: string[] = [];
    for (let i = 0; i < 4; i++) {
      const [first = ''] = (await resolve()) as string[];
      hostAddress.reached(first);
      reached.push(first);
      hostAddress.passOver();
    }
    expect(reached).toEqual(['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.2']);
  });

  it.each([
    ['stays while the resolver has no answer', 'EAI_AGAIN', ['127.0.0.2'], '127.0.0.2'],
    ['is none once the name does not exist', 'ENOTFOUND', 'ENOTFOUND', null],
  ])('%s', async (_what, code, found, current) => {
    const { hostAddress, resolve } = hostWith({ code });
    expect(await resolve()).toBe(code);
    hostAddress.reached('127.0.0.2');
    expect(await resolve()).toEqual(found);
    expect(hostAddress.current).toBe(current);
  });

  it('keeps the zone that the resolver gave it, which sockets do not tell', async () => {
    const { hostAddress, resolve, moves } = hostWith({ addresses: ['fe80::1%lo'] });
    await resolve();
    hostAddress.reached('fe80::1');
    expect(await resolve()).toEqual(['fe80::1%lo']);
    expect(moves).toEqual(['fe80::1%lo']);
  });
});
