import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { FORBIDDEN_ADDRESS, guardedLookup, mayReach } from './reach.ts';

describe('addresses that a name leads to', () => {
  it.each([
    // address, by default, with private ones allowed
    ['93.184.215.14', true, true],
    ['8.8.8.8', true, true],
    ['172.32.0.1', true, true],
    ['2606:4700::1111', true, true],
    ['::ffff:8.8.8.8', true, true],
    ['127.0.0.1', false, true],
    ['127.8.9.1', false, true],
    ['10.1.2.3', false, true],
    ['172.16.0.1', false, true],
    ['172.31.255.255', false, true],
    ['192.168.1.1', false, true],
    ['100.64.0.1', false, true],
    ['::1', false, true],
    ['fd00::1', false, true],
    ['::ffff:127.0.0.1', false, true],
    ['::ffff:10.0.0.1', false, true],
    ['0.0.0.0', false, false],
    ['169.254.169.254', false, false],
    ['::ffff:169.254.169.254', false, false],
    ['224.0.0.1', false, false],
    ['255.255.255.255', false, false],
    ['198.51.100.1', false, false],
    ['::', false, false],
    ['fe80::1', false, false],
    ['ff02::1', false, false],
    ['64:ff9b::7f00:1', false, false],
    ['2002:7f00:1::', false, false],
    ['2001:0:1::', false, false],
    ['not an address', false, false],
  ])('%s: %s by default, %s with private ones', (address, byDefault, withPrivate) => {
    expect([mayReach(address, false), mayReach(address, true)]).toEqual([byDefault, withPrivate]);
  });
});

describe('the lookup', () => {
  const resolves =
    (...addresses: string[]): net.LookupFunction =>
    (_host, _options, callback) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
  const ask = (lookup: net.LookupFunction, all: boolean) =>
    new Promise((resolve) =>
      guardedLookup(lookup, false)('x', { all }, (error, found, family) => resolve(error?.code ?? [found, family])),
    );

  it('drops what may not be reached, and keeps the rest in its order', async () => {
    expect(await ask(resolves('127.0.0.1', '8.8.8.8', '::1', '9.9.9.9'), true)).toEqual([
      [
        { address: '8.8.8.8', family: 4 },
        { address: '9.9.9.9', family: 4 },
      ],
      undefined,
    ]);
    expect(await ask(resolves('127.0.0.1', '8.8.8.8'), false)).toEqual(['8.8.8.8', 4]);
  });

  it('fails when nothing is left, and passes on what DNS says', async () => {
    expect(await ask(resolves('127.0.0.1', 'fe80::1'), true)).toBe(FORBIDDEN_ADDRESS);
    const none: net.LookupFunction = (_host, _options, callback) =>
      callback(Object.assign(new Error(), { code: 'ENOTFOUND' }), '', 0);
    expect(await ask(none, true)).toBe('ENOTFOUND');
  });
});
