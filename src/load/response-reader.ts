/** One whole answer. `body` is kept only when asked for. */
export interface Answer {
  status: number;
  /** The server may close the connection after this answer. */
  keepAlive: boolean;
  body: string;
}

const headMax = 64 * 1024;
const bodyKeptMax = 64 * 1024;
const chunkLineMax = 1024;
const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');

interface ParsedHead {
  status: number;
  keepAlive: boolean;
  chunked: boolean;
  /** Null without a content-length. */
  length: number | null;
}

function parseHead(head: string): ParsedHead {
  const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)/.exec(head)?.[1]);
  if (!status) throw new Error('not an HTTP/1.1 response');
  const length = /\r\ncontent-length:[ \t]*(\d{1,15})/i.exec(head)?.[1];
  return {
    status,
    keepAlive: !/\r\nconnection:[^\r]*\bclose\b/i.test(head) && !head.startsWith('HTTP/1.0'),
    chunked: /\r\ntransfer-encoding:[^\r]*\bchunked\b/i.test(head),
    length: length === undefined ? null : Number(length),
  };
}

/**
 * Reads HTTP/1.1 answers from the bytes of one connection (RFC 9112): content-length, chunked, or until the end.
 * Feed it with `push`; it calls back once per answer and throws on anything that is not HTTP.
 */
export class ResponseReader {
  readonly #onAnswer: (answer: Answer) => void;
  #pending: Buffer | null = null;
  #state: 'head' | 'length' | 'chunk-line' | 'chunk' | 'trailer' | 'until-end' = 'head';
  /** Bytes still to come of the body or of the current chunk (its line end included). */
  #left = 0;
  /** The last head with its empty line. */
  #lastHead: Buffer = Buffer.alloc(0);
  #parsed: ParsedHead = { status: 0, keepAlive: true, chunked: false, length: null };
  #status = 0;
  #keepAlive = true;
  #keptBytes = 0;
  #body = '';
  #lastAnswer: Answer = { status: 0, keepAlive: true, body: '' };
  /** Set per request: HEAD has no body whatever its headers say; the body is kept for a check only. */
  expectNoBody = false;
  keepBody = false;

  constructor(onAnswer: (answer: Answer) => void) {
    this.#onAnswer = onAnswer;
  }

  /** True between the first byte of an answer and its end. */
  get begun(): boolean {
    return this.#state !== 'head' || this.#pending !== null;
  }

  /** `length` bytes of `data`; what is needed of them later is copied. */
  push(data: Buffer, length = data.length): void {
    if (this.#pending === null) {
      this.#consume(data, length);
    } else {
      const all = Buffer.concat([this.#pending, data.subarray(0, length)]);
      this.#pending = null;
      this.#consume(all, all.length);
    }
  }

  #consume(bytes: Buffer, end: number): void {
    let at = 0;
    while (at < end) {
      const used = this.#step(bytes, at, end);
      if (used === 0) {
        // The caller may reuse its buffer, so the rest is copied.
        this.#pending = Buffer.from(bytes.subarray(at, end));
        return;
      }
      at += used;
    }
  }

  /** The connection ended: that completes an answer without a length. Returns whether one was completed. */
  end(): boolean {
    if (this.#state !== 'until-end') return false;
    this.#keepAlive = false;
    this.#finish();
    return true;
  }

  /** Consumes some of `bytes` from `at` to `end`; 0 means that more are needed. */
  #step(bytes: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes, at, end);
      case 'length':
      case 'chunk':
      case 'until-end':
        return this.#readBody(bytes, at, end);
      case 'chunk-line':
        return this.#readChunkLine(bytes, at, end);
      case 'trailer':
        return this.#readTrailer(bytes, at, end);
    }
  }

  #readHead(bytes: Buffer, at: number, end: number): number {
    const length = this.#isLastHead(bytes, at, end) ? this.#lastHead.length : this.#learnHead(bytes, at, end);
    if (length > 0 && this.#parsed.status >= 200) this.#beginBody(this.#parsed);
    return length;
  }

  /** Answers of one server are alike to the second of their Date: what the last head meant, this one means as well. */
  #isLastHead(bytes: Buffer, at: number, end: number): boolean {
    const { length } = this.#lastHead;
    return length > 0 && end - at >= length && this.#lastHead.compare(bytes, at, at + length) === 0;
  }

  /** Returns the head's length, 0 while it is not whole. */
  #learnHead(bytes: Buffer, at: number, end: number): number {
    const stop = indexOf(bytes, headEnd, at, end);
    if (stop === -1) {
      if (end - at > headMax) throw new Error(`response head longer than ${headMax} bytes`);
      return 0;
    }
    this.#parsed = parseHead(bytes.toString('latin1', at, stop));
    this.#lastHead = Buffer.from(bytes.subarray(at, stop + headEnd.length));
    return this.#lastHead.length;
  }

  #beginBody({ status, keepAlive, chunked, length }: ParsedHead): void {
    this.#status = status;
    this.#keepAlive = keepAlive;
    if (this.expectNoBody || status === 204 || status === 304) {
      this.#finish();
    } else if (chunked) {
      this.#state = 'chunk-line';
    } else {
      this.#left = length ?? Number.POSITIVE_INFINITY;
      this.#state = length === null ? 'until-end' : 'length';
      if (this.#left === 0) this.#finish();
    }
  }

  #readBody(bytes: Buffer, at: number, end: number): number {
    const used = Math.min(this.#left, end - at);
    if (this.keepBody) this.#keep(bytes, at, this.#state === 'chunk' ? Math.min(used, this.#left - 2) : used);
    this.#left -= used;
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk-line';
      else this.#finish();
    }
    return used;
  }

  #readChunkLine(bytes: Buffer, at: number, end: number): number {
    const stop = indexOf(bytes, lineEnd, at, end);
    if (stop === -1) {
      if (end - at > chunkLineMax) throw new Error(`chunk line longer than ${chunkLineMax} bytes`);
      return 0;
    }
    const size = /^([0-9a-f]{1,12})(?:[ \t;]|$)/i.exec(bytes.toString('latin1', at, stop))?.[1];
    if (size === undefined) throw new Error('bad chunk size');
    this.#left = Number.parseInt(size, 16) + 2;
    this.#state = this.#left === 2 ? 'trailer' : 'chunk';
    return stop - at + 2;
  }

  #readTrailer(bytes: Buffer, at: number, end: number): number {
    const stop = indexOf(bytes, lineEnd, at, end);
    if (stop === -1) {
      if (end - at > headMax) throw new Error(`trailer longer than ${headMax} bytes`);
      return 0;
    }
    if (stop === at) this.#finish();
    return stop - at + 2;
  }

  #keep(bytes: Buffer, at: number, length: number): void {
    if (length <= 0 || this.#keptBytes >= bodyKeptMax) return;
    this.#body += bytes.toString('latin1', at, at + Math.min(length, bodyKeptMax - this.#keptBytes));
    this.#keptBytes += length;
  }

  #finish(): void {
    const answer = this.#answerOf(this.#status, this.#keepAlive, this.#body);
    this.#state = 'head';
    this.#body = '';
    this.#keptBytes = 0;
    this.#onAnswer(answer);
  }

  /** Most answers are like the one before: that object serves again. */
  #answerOf(status: number, keepAlive: boolean, body: string): Answer {
    const last = this.#lastAnswer;
    if (last.status === status && last.keepAlive === keepAlive && last.body === body) return last;
    this.#lastAnswer = { status, keepAlive, body };
    return this.#lastAnswer;
  }
}

/** Beyond `end` the memory holds what came earlier. */
function indexOf(bytes: Buffer, what: Buffer, at: number, end: number): number {
  const found = bytes.indexOf(what, at);
  return found === -1 || found + what.length > end ? -1 : found;
}
