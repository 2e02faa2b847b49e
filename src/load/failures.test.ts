import { expect, test } from 'vitest';
import { connectFailure } from './failures.ts';

test.each([
  ['nothing listens', 'ECONNREFUSED', false, 'refused'],
  ['the name is not known', 'ENOTFOUND', false, 'dns'],
  ['the resolver does not answer', 'EAI_AGAIN', false, 'dns'],
  ['no way to the host', 'EHOSTUNREACH', false, 'connect'],
  ['reset before it was there', 'ECONNRESET', false, 'connect'],
  ['no descriptor left', 'EMFILE', false, 'local'],
  ['no local port left', 'EADDRNOTAVAIL', false, 'local'],
  ['a certificate that is not trusted', 'DEPTH_ZERO_SELF_SIGNED_CERT', true, 'tls'],
  ['a handshake that the server ended', 'ECONNRESET', true, 'tls'],
  ['closed without a word', undefined, false, 'connect'],
])('%s', (_, code, reached, failure) => {
  expect(connectFailure(code, reached)).toBe(failure);
});
