import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { DONE, FAULT, Head, MORE, parseRequestHead, parseResponseHead } from './head.ts';

function request(text: string): { result: number; head: Head; octets: Buffer } {
  const head = new Head();
  const octets = Buffer.from(text, 'latin1');
  return { result: parseRequestHead(head, octets, 0, octets.length), head, octets };
}

const HOST = 'Host: a\r\n';
const get = (lines: string) => `GET / HTTP/1.1\r\n${HOST}${lines}\r\n`;

/** Each row: what, the octets, the status it is refused with; 0 for accepted. RFC 9112 unless another is named. */
const conformance: [string, string, number][] = [
  // Section 2.2: message parsing
  ['2.2 one empty line before the request line is skipped', `\r\n${get('')}`, 0],
  ['2.2 two empty lines are not', `\r\n\r\n${get('')}`, 400],
  ['2.2 bare LF after the request line', `GET / HTTP/1.1\n${HOST}\r\n`, 400],
  ['2.2 bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\n\r\n', 400],
  ['2.2 bare LF as the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 400],
  ['2.2 bare CR in a value', get('A: b\rc\r\n'), 400],
  ['2.2 bare CR in the request line', `GET /\r HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['2.2 CR CR LF', get('A: b\r\r\n'), 400],
  ['2.2 NUL in a value', get('A: b\0c\r\n'), 400],
  ['2.2 NUL in a name', get('A\0: b\r\n'), 400],
  ['2.2 NUL in the target', `GET /\0 HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['2.2 DEL in a value', get('A: \x7f\r\n'), 400],
  ['2.2 VT in a value', get('A: a\x0bb\r\n'), 400],
  ['2.2 ESC in a value', get('A: \x1b[31m\r\n'), 400],
  ['2.2 white space between start line and first field', `GET / HTTP/1.1\r\n ${HOST}\r\n`, 400],
  ['2.2 tab between start line and first field', `GET / HTTP/1.1\r\n\t${HOST}\r\n`, 400],
  // Section 2.3 and 3: request line
  ['3 two spaces after the method', `GET  / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 tab after the method', `GET\t/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 space before the method', ` GET / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 space after the version', `GET / HTTP/1.1 \r\n${HOST}\r\n`, 400],
  ['3 two spaces before the version', `GET /  HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 space in the target', `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 no target', `GET HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 no version (HTTP/0.9)', 'GET /\r\n\r\n', 400],
  ['2.3 lower-case http', `GET / http/1.1\r\n${HOST}\r\n`, 400],
  ['2.3 HTTP/2.0', `GET / HTTP/2.0\r\n${HOST}\r\n`, 505],
  ['2.3 HTTP/1.2', `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ['2.3 HTTP/1.10', `GET / HTTP/1.10\r\n${HOST}\r\n`, 400],
  ['2.3 HTTP/0.9', `GET / HTTP/0.9\r\n${HOST}\r\n`, 505],
  ['2.3 HTTP/11', `GET / HTTP/11\r\n${HOST}\r\n`, 400],
  ['2.3 HTTP/1,1', `GET / HTTP/1,1\r\n${HOST}\r\n`, 400],
  ['3.1 a method with a colon', `G:T / HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.1 an unknown token is a method', `BREW / HTTP/1.1\r\n${HOST}\r\n`, 0],
  ['3.1 a method that never ends', `${'G'.repeat(limits.methodBytes + 1)} / HTTP/1.1\r\n${HOST}\r\n`, 501],
  ['3.1 non-ASCII in the method', `G\xc9T / HTTP/1.1\r\n${HOST}\r\n`, 400],
  // Section 3.2: target
  ['3.2.1 origin-form', get(''), 0],
  ['3.2.1 //: opaque, not normalised', `GET //a/../b%2f HTTP/1.1\r\n${HOST}\r\n`, 0],
  ['3.2 target without a slash', `GET a HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2 fragment', `GET /a#b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2 non-ASCII', `GET /\xe4 HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.2 absolute-form', `GET http://b/x HTTP/1.1\r\n${HOST}\r\n`, 0],
  ['3.2.2 absolute-form without a path', `GET http://b HTTP/1.1\r\n${HOST}\r\n`, 0],
  ['3.2.2 absolute-form with userinfo', `GET http://u@b/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.2 absolute-form without authority', `GET http:///x HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.2 another scheme', `GET ftp://b/ HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.3 authority-form without CONNECT', `GET b:80 HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.3 CONNECT with a path', `CONNECT /x HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.3 CONNECT without a port', `CONNECT b HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3.2.4 * with OPTIONS', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 0],
  ['3.2.4 * with GET', `GET * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['3 a target that is too long', `GET /${'a'.repeat(limits.targetBytes)} HTTP/1.1\r\n${HOST}\r\n`, 414],
  // Section 3.2: Host
  ['3.2 no Host in 1.1', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['3.2 no Host in 1.0', 'GET / HTTP/1.0\r\n\r\n', 0],
  ['3.2 two Hosts', `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 400],
  ['3.2 two Hosts, other case', `GET / HTTP/1.1\r\n${HOST}hOST: b\r\n\r\n`, 400],
  ['3.2 two Hosts in 1.0', `GET / HTTP/1.0\r\n${HOST}${HOST}\r\n`, 400],
  ['3.2 an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['3.2 Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['3.2 Host with userinfo', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
  ['3.2 Host with a space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 400],
  ['3.2 Host with a comma list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
  ['3.2 Host with a port', 'GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n', 0],
  ['3.2 Host with a port that is none', 'GET / HTTP/1.1\r\nHost: a:8o\r\n\r\n', 400],
  ['3.2 Host with port 65536', 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 400],
  ['3.2 Host: IPv6', 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', 0],
  ['3.2 Host: broken IPv6', 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n', 400],
  ['3.2 Host: bad percent', 'GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n', 400],
  // Section 5: fields
  ['5.1 space before the colon', get('A : b\r\n'), 400],
  ['5.1 tab before the colon', get('A\t: b\r\n'), 400],
  ['5.1 an empty name', get(': b\r\n'), 400],
  ['5.1 no colon', get('A b\r\n'), 400],
  ['5.1 a line that is only a name', get('A\r\n'), 400],
  ['5.1 non-ASCII in a name', get('\xc4: b\r\n'), 400],
  ['5.1 a name with a separator', get('A(b): c\r\n'), 400],
  ['5.1 no white space after the colon', get('A:b\r\n'), 0],
  ['5.1 an empty value', get('A:\r\n'), 0],
  ['5.2 obs-fold', get('A: b\r\n c\r\n'), 400],
  ['5.2 obs-fold with a tab', get('A: b\r\n\tc\r\n'), 400],
  ['RFC 9110 5.5 obs-text in a value', get('A: \xe4\xf6\r\n'), 0],
  ['RFC 9110 5.5 a tab in a value', get('A: a\tb\r\n'), 0],
  ['5 too many header lines', get('A: b\r\n'.repeat(limits.headerCount)), 431],
  ['5 as many header lines as allowed', get('A: b\r\n'.repeat(limits.headerCount - 1)), 0],
  ['5 a head that is too long', get(`A: ${'b'.repeat(limits.headBytes)}\r\n`), 431],
  // Section 6.1: Transfer-Encoding
  ['6.1 chunked', get('Transfer-Encoding: chunked\r\n'), 0],
  ['6.1 Chunked, in any case', get('Transfer-Encoding: cHuNkEd\r\n'), 0],
  ['6.1 twice', get('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['6.1 chunked twice in one line', get('Transfer-Encoding: chunked, chunked\r\n'), 501],
  ['6.1 another coding before chunked', get('Transfer-Encoding: gzip, chunked\r\n'), 501],
  ['6.1 chunked is not the last', get('Transfer-Encoding: chunked, gzip\r\n'), 400],
  ['6.1 identity', get('Transfer-Encoding: identity\r\n'), 400],
  ['6.1 an empty value', get('Transfer-Encoding:\r\n'), 400],
  ['6.1 xchunked', get('Transfer-Encoding: xchunked\r\n'), 400],
  ['6.1 chunked in quotes', get('Transfer-Encoding: "chunked"\r\n'), 400],
  ['6.1 chunked with a parameter', get('Transfer-Encoding: chunked;q=1\r\n'), 400],
  ['6.1 vertical tab before chunked', get('Transfer-Encoding: \x0bchunked\r\n'), 400],
  ['6.1 in HTTP/1.0', `POST / HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`, 400],
  ['6.1 beside Content-Length', get('Content-Length: 3\r\nTransfer-Encoding: chunked\r\n'), 400],
  ['6.1 before Content-Length', get('Transfer-Encoding: chunked\r\nContent-Length: 3\r\n'), 400],
  // Section 6.3: Content-Length
  ['6.3 a number', get('Content-Length: 3\r\n'), 0],
  ['6.3 repeated', get('Content-Length: 3\r\nContent-Length: 3\r\n'), 400],
  ['6.3 repeated, another value', get('Content-Length: 3\r\nContent-Length: 4\r\n'), 400],
  ['6.3 a list', get('Content-Length: 3, 3\r\n'), 400],
  ['6.3 empty', get('Content-Length:\r\n'), 400],
  ['6.3 +3', get('Content-Length: +3\r\n'), 400],
  ['6.3 -3', get('Content-Length: -3\r\n'), 400],
  ['6.3 hex', get('Content-Length: 0x3\r\n'), 400],
  ['6.3 3_0', get('Content-Length: 3_0\r\n'), 400],
  ['6.3 with a space inside', get('Content-Length: 3 0\r\n'), 400],
  ['6.3 3.0', get('Content-Length: 3.0\r\n'), 400],
  ['6.3 beyond 2^53', get('Content-Length: 9999999999999999\r\n'), 400],
  ['6.3 digits of another script', get('Content-Length: \xb3\r\n'), 400],
  // RFC 9110
  ['RFC 9110 10.1.1 100-continue', get('Expect: 100-Continue\r\n'), 0],
  ['RFC 9110 10.1.1 another expectation', get('Expect: tea\r\n'), 417],
];

describe('request heads, by rule', () => {
  it.each(conformance)('%s', (_rule, text, status) => {
    const { result, head } = request(text);
    if (status === 0) expect(result === FAULT ? head.fault.detail : result).toBe(DONE);
    else expect({ result, status: head.fault.status }).toEqual({ result: FAULT, status });
  });

  it.each(conformance)('does not depend on where the octets are split: %s', (_rule, text, status) => {
    const octets = Buffer.from(text, 'latin1');
    const head = new Head();
    const step = Math.max(1, Math.floor(octets.length / 400));
    let result: number = MORE;
    for (
      let end = 1;
      end <= octets.length && result === MORE;
      end = end === octets.length ? end + 1 : Math.min(octets.length, end + step)
    ) {
      result = parseRequestHead(head, octets, 0, end);
    }
    if (status === 0) expect(result).toBe(DONE);
    else expect(result === FAULT ? head.fault.status : result).toBe(status);
  });
});

describe('what a parsed request head says', () => {
  it('finds method, target, fields and the end', () => {
    const { head, octets, result } = request(
      'PUT /a?b HTTP/1.1\r\nHost: h:1\r\nX: \t y z \t\r\nContent-Length: 12\r\n\r\nbody',
    );
    const text = (start: number | undefined, end: number | undefined) => octets.toString('latin1', start, end);
    expect(result).toBe(DONE);
    expect(text(head.targetStart, head.targetEnd)).toBe('/a?b');
    expect(text(head.valueStart[1], head.valueEnd[1])).toBe('y z');
    expect(head.contentLength).toBe(12);
    expect(text(head.end, octets.length)).toBe('body');
  });

  it.each([
    ['close', true, false, false],
    ['Keep-Alive', false, true, false],
    ['x, CLOSE ,y', true, false, true],
    ['upgrade', false, false, false],
    [' , ,', false, false, false],
  ])('Connection: %s', (value, close, keepAlive, nominates) => {
    const { head } = request(get(`Connection: ${value}\r\n`));
    expect({ close: head.close, keepAlive: head.keepAlive, nominates: head.nominates }).toEqual({
      close,
      keepAlive,
      nominates,
    });
  });

  it('accepts what it is given, whatever the field values are, and never reads past the end', () => {
    const token = fc
      .stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
      .filter((name) => !/^(host|content-length|transfer-encoding|expect)$/i.test(name));
    const value = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(token, value), { maxLength: 30 }), fc.nat(50), (fields, tail) => {
        const text = `GET /x HTTP/1.1\r\n${HOST}${fields.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`;
        const { result, head, octets } = request(text + 'z'.repeat(tail));
        expect(result).toBe(DONE);
        expect(head.end).toBe(text.length);
        fields.forEach(([name, expected], i) => {
          expect(octets.toString('latin1', head.lineStart[i + 1], head.nameEnd[i + 1])).toBe(name);
          expect(octets.toString('latin1', head.valueStart[i + 1], head.valueEnd[i + 1])).toBe(expected);
        });
      }),
    );
  });

  it('survives any octets, and says the same however they are split', () => {
    const noise = fc.array(
      fc.oneof(
        fc.constantFrom(
          '\r\n',
          ' ',
          ':',
          'GET / HTTP/1.1\r\n',
          'Host: a\r\n',
          '\r\n\r\n',
          'Content-Length: 1',
          '\0',
          '\t',
        ),
        fc.string({ maxLength: 4 }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(noise, (pieces) => {
        const octets = Buffer.from(pieces.join(''), 'latin1');
        const whole = new Head();
        const split = new Head();
        const expected = parseRequestHead(whole, octets, 0, octets.length);
        let result: number = MORE;
        for (let end = 0; end <= octets.length && result === MORE; end++)
          result = parseRequestHead(split, octets, 0, end);
        expect(result).toBe(expected);
        if (expected === DONE) expect(split.end).toBe(whole.end);
        if (expected === FAULT) expect(split.fault).toBe(whole.fault);
      }),
    );
  });
});

describe('response heads', () => {
  const rows: [string, string, number][] = [
    ['4 a status line', 'HTTP/1.1 200 OK\r\n\r\n', DONE],
    ['4 an empty reason', 'HTTP/1.1 200 \r\n\r\n', DONE],
    ['4 no reason and no space', 'HTTP/1.1 200\r\n\r\n', DONE],
    ['4 two digits', 'HTTP/1.1 20 OK\r\n\r\n', FAULT],
    ['4 four digits', 'HTTP/1.1 2000 OK\r\n\r\n', FAULT],
    ['4 status 099', 'HTTP/1.1 099 X\r\n\r\n', FAULT],
    ['4 status 600', 'HTTP/1.1 600 X\r\n\r\n', FAULT],
    ['2.2 bare LF', 'HTTP/1.1 200 OK\nA: b\r\n\r\n', FAULT],
    ['2.3 HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', FAULT],
    ['5.2 obs-fold', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n', FAULT],
    ['6.1 TE beside CL', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', FAULT],
    ['6.1 TE in 1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', FAULT],
    ['6.3 two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n', FAULT],
    ['a Host and an Expect mean nothing here', 'HTTP/1.1 200 OK\r\nHost: a\r\nHost: b\r\nExpect: x\r\n\r\n', DONE],
    ['garbage', 'hello', FAULT],
  ];
  it.each(rows)('%s', (_rule, text, expected) => {
    const octets = Buffer.from(text, 'latin1');
    expect(parseResponseHead(new Head(), octets, 0, octets.length)).toBe(expected);
    const head = new Head();
    let result: number = MORE;
    for (let end = 1; end <= octets.length && result === MORE; end++) result = parseResponseHead(head, octets, 0, end);
    expect(result).toBe(expected);
  });
});
