/**
 * A plain, slow reader of HTTP/1.1 octets, written apart from the gateway's: what the differential tests compare with. It takes only what is
 * valid, and throws on anything else.
 */
export interface Message {
  startLine: string;
  /** Names in lower case; values without the white space around them. */
  fields: [string, string][];
  body: string;
  trailers: [string, string][];
}

/** Reads one message from the front of `text`; null while it is not whole. `ended`: no more will come. */
function readMessage(
  text: string,
  bodyKind: (message: Message) => 'none' | 'framed' | 'close',
  ended: boolean,
): { message: Message; rest: string } | null {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [startLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const message: Message = { startLine, fields: lines.map(fieldOf), body: '', trailers: [] };
  const rest = text.slice(end + 4);
  const kind = bodyKind(message);
  if (kind === 'none') return { message, rest };
  if (onlyValue(message, 'transfer-encoding') !== undefined) return readChunks(message, rest);
  const length = onlyValue(message, 'content-length');
  if (length === undefined && kind === 'close') {
    return ended ? { message: { ...message, body: rest }, rest: '' } : null;
  }
  const size = Number(length ?? 0);
  return rest.length < size ? null : { message: { ...message, body: rest.slice(0, size) }, rest: rest.slice(size) };
}

function fieldOf(line: string): [string, string] {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/s.exec(line);
  if (match === null) throw new Error(`no field line: ${JSON.stringify(line)}`);
  return [(match[1] as string).toLowerCase(), match[2] as string];
}

function onlyValue({ fields }: Message, name: string): string | undefined {
  const found = fields.filter(([one]) => one === name);
  if (found.length > 1) throw new Error(`${name} stands ${found.length} times`);
  return found[0]?.[1];
}

function readChunks(message: Message, text: string): { message: Message; rest: string } | null {
  if (onlyValue(message, 'transfer-encoding')?.toLowerCase() !== 'chunked')
    throw new Error('a coding other than chunked');
  if (onlyValue(message, 'content-length') !== undefined) throw new Error('framed in two ways');
  let rest = text;
  let body = '';
  for (;;) {
    const line = /^([0-9A-Fa-f]+)(;[^\r\n]*)?\r\n/.exec(rest);
    if (line === null) {
      if (rest.includes('\r\n')) throw new Error(`no chunk size: ${JSON.stringify(rest.slice(0, 40))}`);
      return null;
    }
    const size = Number.parseInt(line[1] as string, 16);
    rest = rest.slice(line[0].length);
    if (size === 0) return readTrailers({ ...message, body }, rest);
    if (rest.length < size + 2) return null;
    if (rest.slice(size, size + 2) !== '\r\n') throw new Error('no CRLF behind a chunk');
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

function readTrailers(message: Message, text: string): { message: Message; rest: string } | null {
  if (text.startsWith('\r\n')) return { message, rest: text.slice(2) };
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const trailers = text.slice(0, end).split('\r\n').map(fieldOf);
  return { message: { ...message, trailers }, rest: text.slice(end + 4) };
}

/** Reads a request: without framing fields it has no body. */
export function readRequest(text: string): { message: Message; rest: string } | null {
  return readMessage(text, () => 'framed', false);
}

/** Reads the final answer to a request of that method; interim answers before it are left out. */
export function readAnswer(text: string, method: string, ended: boolean): { message: Message; rest: string } | null {
  const kindOf = ({ startLine }: Message) => {
    const status = Number(startLine.slice(9, 12));
    return method === 'HEAD' || status < 200 || status === 204 || status === 304 ? 'none' : 'close';
  };
  const found = readMessage(text, kindOf, ended);
  if (found !== null && /^HTTP\/1\.1 1\d\d /.test(found.message.startLine))
    return readAnswer(found.rest, method, ended);
  return found;
}
