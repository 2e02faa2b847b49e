import { expect, it } from 'vitest';
import { certifiedNames } from '../proxy/caller.ts';
import { subjectNames } from './names.ts';

it.each<[string, string, [string, string][]]>([
  ['nothing', '', []],
  ['one name', 'DNS:a.test', [['DNS', 'a.test']]],
  ['several', 'DNS:a.test, URI:spiffe://t/web, IP Address:10.0.0.1', [['DNS', 'a.test'], ['URI', 'spiffe://t/web'], ['IP Address', '10.0.0.1']]],
  ['IPv6', 'IP Address:2001:DB8:0:0:0:0:0:1, DNS:b', [['IP Address', '2001:DB8:0:0:0:0:0:1'], ['DNS', 'b']]],
  ['a quoted name', 'DNS:"a\\"b", DNS:c', [['DNS', 'a"b'], ['DNS', 'c']]],
  ['an entry hidden in a quoted name', 'URI:"http://x/, DNS:admin, URI:spiffe://t/web", DNS:b', [['URI', 'http://x/, DNS:admin, URI:spiffe://t/web'], ['DNS', 'b']]],
  ['a broken list', 'DNS:a, b', []],
  ['an open quote', 'DNS:"a, DNS:b', []],
])('reads %s', (_what, text, expected) => {
  expect(subjectNames(text).map(({ kind, name }) => [kind, name])).toEqual(expected);
}); // biome-ignore format: a table

it('a name hidden in another one is no caller', () => {
  expect(certifiedNames('URI:"http://x/, DNS:admin", DNS:shop.internal')).not.toContain('admin');
  expect(certifiedNames('DNS:shop.internal, URI:spiffe://t/ns/sa/web')).toEqual(['shop.internal', 'shop', 'web']);
});
