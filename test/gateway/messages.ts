import type { Dice } from '../../src/gateway/testing/fuzz.ts';

/** A request and what the service answers it with, as octets. Both valid by RFC 9110 and 9112. */
export interface Case {
  method: string;
  request: string;
  answer: string;
  /** The answer ends with its connection. */
  answerEndsByClose: boolean;
}

const TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const PATH = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/";
const VALUE = Array.from({ length: 0x100 }, (_, code) => String.fromCharCode(code))
  .filter((one) => /[\x20-\x7e\x80-\xff\t]/.test(one))
  .join('');

function text(dice: Dice, alphabet: string, most: number, least = 0): string {
  const length = least + dice.below(most - least + 1);
  let out = '';
  for (let i = 0; i < length; i++) out += alphabet[dice.below(alphabet.length)];
  return out;
}

/** Names that mean something to a proxy are generated on purpose, never by chance. */
function freeName(dice: Dice): string {
  return `X-${text(dice, TCHAR, 20, 1)}`;
}

function fieldValue(dice: Dice): string {
  const value = text(dice, VALUE, dice.pick([0, 5, 40, 400]));
  const space = () => dice.pick(['', ' ', '  ', '\t', ' \t ']);
  return `${space()}${value.trim()}${space()}`;
}

function fieldLines(dice: Dice, fixed: string[]): string {
  const lines = Array.from({ length: dice.below(12) }, () => `${freeName(dice)}:${fieldValue(dice)}`);
  // A name may stand several times; the order of its lines counts (RFC 9110 section 5.3).
  if (lines.length > 0 && dice.below(3) === 0) lines.push(`${(lines[0] as string).split(':')[0]}: again`);
  for (const line of fixed) lines.splice(dice.below(lines.length + 1), 0, line);
  return lines.map((line) => `${line}\r\n`).join('');
}

/** A target in origin-form; without dot segments that lead above the root, which nginx refuses (and no client sends). */
function target(dice: Dice): string {
  const escaped = () => dice.pick(['%2F', '%2f', '%20', '%C3%A9', '%25', '%3F', '%0A', '%41']);
  let path = '/';
  for (let i = dice.below(6); i > 0; i--) path += dice.below(4) === 0 ? escaped() : text(dice, PATH, 12);
  const safe = path.replace(/\.\.+/g, '.');
  return dice.below(2) === 0 ? safe : `${safe}?${text(dice, `${PATH}?&=[]|^{}"<>\\\``, 30)}`;
}

const BODY_SIZES = [0, 1, 10, 1000, 20_000, 100_000];

function body(dice: Dice): string {
  return text(dice, VALUE, 64, 1)
    .repeat(2000)
    .slice(0, dice.below(dice.pick(BODY_SIZES) + 1));
}

/** The body in chunks of any size, with extensions (RFC 9112 section 7.1.1) and, if asked for, trailers. */
function chunks(dice: Dice, data: string, trailers: boolean): string {
  let out = '';
  for (let at = 0; at < data.length; ) {
    const size = 1 + dice.below(dice.pick([4, 1000, 70_000]));
    const piece = data.slice(at, at + size);
    const digits = piece.length.toString(16);
    const written = dice.pick([digits, digits.toUpperCase(), `00${digits}`]);
    out += `${written}${dice.pick(['', '', ';a', ';a=b', ';a="b c"'])}\r\n${piece}\r\n`;
    at += size;
  }
  const lines = trailers && dice.below(3) === 0 ? `${freeName(dice)}: ${text(dice, TCHAR, 10)}\r\n` : '';
  return `${out}0\r\n${lines}\r\n`;
}

const METHODS = ['GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'M-SEARCH'];
const HOP = ['Keep-Alive: timeout=5', 'TE: trailers', 'TE: gzip;q=0.5'];
const KNOWN = [
  'Accept: */*', 'Accept-Encoding: gzip, br', 'Authorization: Basic Zm9vOmJhcg==', 'Content-Type: text/plain; charset=utf-8',
  'Cookie: a=b; c=d', 'User-Agent: x/1 (y)', 'Cache-Control: no-cache', 'If-None-Match: "x"', 'Origin: https://a.test', 'Range: bytes=0-9',
  'Referer: https://a.test/', 'Accept-Language: de', 'If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT', 'Max-Forwards: 3', 'DNT: 1',
]; // biome-ignore format: a list

function request(dice: Dice, isLast: boolean): { method: string; octets: string } {
  const method = dice.pick(METHODS);
  const host = dice.pick(['svc', 'svc:8080', 'a.b-c.test', '127.0.0.1:1', '[::1]:80']);
  const at = target(dice);
  const written = dice.below(8) === 0 ? `http://${host}${at}` : at;
  const fixed = [`Host: ${host}`];
  if (isLast) fixed.push('Connection: close');
  else if (dice.below(4) === 0) fixed.push('Connection: keep-alive');
  for (let i = dice.below(4); i > 0; i--) fixed.push(dice.pick(KNOWN));
  if (dice.below(6) === 0) fixed.push(dice.pick(HOP));
  const kind = dice.below(4);
  const data = kind === 0 ? body(dice) : kind === 1 ? body(dice) : '';
  let octets = data;
  if (kind === 0) fixed.push(`Content-Length: ${data.length}`);
  if (kind === 1) {
    fixed.push(dice.pick(['Transfer-Encoding: chunked', 'transfer-encoding:CHUNKED']));
    octets = chunks(dice, data, true);
  }
  const unique = fixed.filter((line, i) => fixed.findIndex((one) => sameName(one, line)) === i);
  const empty = dice.below(10) === 0 ? '\r\n' : '';
  return { method, octets: `${empty}${method} ${written} HTTP/1.1\r\n${fieldLines(dice, unique)}\r\n${octets}` };
}

function sameName(left: string, right: string): boolean {
  return left.split(':')[0]?.toLowerCase() === right.split(':')[0]?.toLowerCase();
}

const STATUS_LINES = [
  '200 OK', '200 OK', '200 OK', '201 Created', '202 ', '204 No Content', '206 Partial Content', '301 Moved Permanently', '302 Found',
  '304 Not Modified', '400 Bad Request', '401 Unauthorized', '404 Not Found', '409 Conflict', '418 I\'m a teapot', '429 Too Many Requests',
  '451 x', '500 Internal Server Error', '599 y z',
]; // biome-ignore format: a list
const ANSWER_KNOWN = [
  'Content-Type: text/html', 'Content-Encoding: identity', 'ETag: "abc"', 'ETag: W/"abc"', 'Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT',
  'Cache-Control: max-age=5, public', 'Vary: Accept', 'Location: https://a.test/x?y', 'Set-Cookie: a=b; Path=/', 'Retry-After: 5',
  'WWW-Authenticate: Basic realm="x"', 'Server: origin/1', 'Date: Sat, 01 Jan 2022 00:00:00 GMT', 'Content-Language: de',
  'Access-Control-Allow-Origin: *', 'Link: </a>; rel=preload', 'Age: 3', 'Expires: 0',
]; // biome-ignore format: a list

function answer(dice: Dice, method: string): { octets: string; endsByClose: boolean } {
  const status = dice.pick(STATUS_LINES);
  const fixed: string[] = [];
  for (let i = dice.below(5); i > 0; i--) fixed.push(dice.pick(ANSWER_KNOWN));
  if (dice.below(6) === 0) fixed.push('Keep-Alive: timeout=5');
  const code = Number(status.slice(0, 3));
  const bodyless = method === 'HEAD' || code === 204 || code === 304;
  const data = bodyless ? '' : body(dice);
  const kind = dice.below(bodyless ? 1 : 3);
  let octets = data;
  let endsByClose = false;
  if (kind === 0 && code !== 204) {
    const size = code === 304 || !bodyless ? data.length : dice.below(1000);
    if (code !== 304) fixed.push(`Content-Length: ${size}`);
  }
  if (kind === 1) {
    fixed.push('Transfer-Encoding: chunked');
    octets = chunks(dice, data, true);
  }
  if (kind === 2) {
    fixed.push('Connection: close');
    endsByClose = true;
  }
  const unique = fixed.filter((line, i) => fixed.findIndex((one) => sameName(one, line)) === i);
  return { octets: `HTTP/1.1 ${status}\r\n${fieldLines(dice, unique)}\r\n${octets}`, endsByClose };
}

/** One connection's worth: up to four requests, the last of which closes. */
export function conversation(dice: Dice): Case[] {
  const count = 1 + dice.below(dice.pick([1, 4]));
  return Array.from({ length: count }, (_, i) => {
    const { method, octets } = request(dice, i === count - 1);
    const reply = answer(dice, method);
    return { method, request: octets, answer: reply.octets, answerEndsByClose: reply.endsByClose };
  });
}
