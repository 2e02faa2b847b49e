import { expect, it } from 'vitest';
import { formatAuthority, parseAuthority } from './authority.ts';

it.each([
  ['db.example:5432', 'db.example:5432'],
  ['DB.Example:5432', 'db.example:5432'],
  ['localhost:1', 'localhost:1'],
  ['a-b.c1:65535', 'a-b.c1:65535'],
  ['10.0.0.7:443', '10.0.0.7:443'],
  ['[::1]:443', '[::1]:443'],
  ['[2001:DB8:0:0::1]:443', '[2001:db8::1]:443'],
  ['xn--bcher-kva.example:80', 'xn--bcher-kva.example:80'],
])('reads %s as %s', (text, expected) => {
  const authority = parseAuthority(text);
  expect(authority && formatAuthority(authority)).toBe(expected);
});

it.each([
  ['no port', 'db.example'],
  ['an empty port', 'db.example:'],
  ['port 0', 'db.example:0'],
  ['a port beyond 65535', 'db.example:65536'],
  ['a port with a leading zero', 'db.example:080'],
  ['a signed port', 'db.example:+80'],
  ['no host', ':80'],
  ['user information', 'me@db.example:80'],
  ['a scheme', 'http://db.example:80'],
  ['a path', 'db.example:80/'],
  ['percent encoding', 'db%2eexample:80'],
  ['a final dot', 'db.example.:80'],
  ['an empty label', 'db..example:80'],
  ['a hyphen at an end', '-db.example:80'],
  ['a hexadecimal address', '0x7f.1:80'],
  ['a short address', '127.1:80'],
  ['an octal address', '0177.0.0.1:80'],
  ['a number', '2130706433:80'],
  ['five numbers', '1.2.3.4.5:80'],
  ['a hexadecimal last label', 'db.0x7f:80'],
  ['IPv6 without brackets', '::1:80'],
  ['a zone', '[fe80::1%eth0]:80'],
  ['broken IPv6', '[::1::2]:80'],
  ['white space', ' db.example:80'],
  ['a letter outside ASCII', 'bücher.example:80'],
  ['an underscore', 'a_b.example:80'],
])('refuses %s', (_what, text) => {
  expect(parseAuthority(text)).toBeNull();
});
