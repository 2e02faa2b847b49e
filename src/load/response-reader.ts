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

  push(data: Buffer): void {
    let bytes = this.#pending === null ? data : Buffer.concat([this.#pending, data]);
    this.#pending = null;
    while (bytes.length > 0) {
      const used = this.#step(bytes);
      if (used === 0) {
        // The caller may reuse its buffer, so the rest is copied.
        this.#pending = Buffer.from(bytes);
        return;
      }
      bytes = bytes.subarray(used);
    }
  }

  /** The connection ended: that completes an answer without a length. Returns whether one was completed. */
  end(): boolean {
    if (this.#state !== 'until-end') return false;
    this.#keepAlive = false;
    this.#finish();
    return true;
  }

  /** Consumes some of `bytes`; 0 means that more are needed. */
  #step(bytes: Buffer): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(bytes);
      case 'length':
      case 'chunk':
      case 'until-end':
        return this.#readBody(bytes);
      case 'chunk-line':
        return this.#readChunkLine(bytes);
      case 'trailer':
        return this.#readTrailer(bytes);
    }
  }

  #readHead(bytes: Buffer): number {
    const length = this.#isLastHead(bytes) ? this.#lastHead.length : this.#learnHead(bytes);
    if (length > 0 && this.#parsed.status >= 200) this.#beginBody(this.#parsed);
    return length;
  }

  /** Answers of one server are alike to the second of their Date: what the last head meant, this one means as well. */
  #isLastHead(bytes: Buffer): boolean {
    const { length } = this.#lastHead;
    return length > 0 && bytes.length >= length && this.#lastHead.compare(bytes, 0, length) === 0;
  }

  /** Returns the head's length, 0 while it is not whole. */
  #learnHead(bytes: Buffer): number {
    const end = bytes.indexOf(headEnd);
    if (end === -1) {
      if (bytes.length > headMax) throw new Error(`response head longer than ${headMax} bytes`);
      return 0;
    }
    this.#parsed = parseHead(bytes.toString('latin1', 0, end));
    this.#lastHead = Buffer.from(bytes.subarray(0, end + headEnd.length));
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

  #readBody(bytes: Buffer): number {
    const used = Math.min(this.#left, bytes.length);
    this.#keep(bytes, this.#state === 'chunk' ? Math.min(used, this.#left - 2) : used);
    this.#left -= used;
    if (this.#left === 0) {
      if (this.#state === 'chunk') this.#state = 'chunk-line';
      else this.#finish();
    }
    return used;
  }

  #readChunkLine(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n');
    if (end === -1) {
      if (bytes.length > chunkLineMax) throw new Error(`chunk line longer than ${chunkLineMax} bytes`);
      return 0;
    }
    const size = /^([0-9a-f]{1,12})(?:[ \t;]|$)/i.exec(bytes.toString('latin1', 0, end))?.[1];
    if (size === undefined) throw new Error('bad chunk size');
    this.#left = Number.parseInt(size, 16) + 2;
    this.#state = this.#left === 2 ? 'trailer' : 'chunk';
    return end + 2;
  }

  #readTrailer(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n');
    if (end === -1) {
      if (bytes.length > headMax) throw new Error(`trailer longer than ${headMax} bytes`);
      return 0;
    }
    if (end === 0) this.#finish();
    return end + 2;
  }

  #keep(bytes: Buffer, length: number): void {
    if (!this.keepBody || length <= 0 || this.#keptBytes >= bodyKeptMax) return;
    this.#body += bytes.toString('latin1', 0, Math.min(length, bodyKeptMax - this.#keptBytes));
    this.#keptBytes += length;
  }

  #finish(): void {
    const answer = { status: this.#status, keepAlive: this.#keepAlive, body: this.#body };
    this.#state = 'head';
    this.#body = '';
    this.#keptBytes = 0;
    this.#onAnswer(answer);
  }
}
