import { createHmac, timingSafeEqual } from 'node:crypto';
import type { StickyRoute } from '../../traffic/model.ts';
import { ascii } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';
import { H } from '../http1/names.ts';

/** Cookies of the name that are verified in one request; a browser has few (one for each domain and path), and each costs a hash. */
const MAX_CANDIDATES = 16;
/** Half of SHA-256: enough for a value that only chooses a version (RFC 2104 section 5 allows truncation to half). */
const MAC_BYTES = 16;

/**
 * A client's place in the split, 0..9999, in a signed cookie `<epoch>.<place>.<mac>`: the canary has places below its
 * weight. A rising weight moves clients one way only, 0 brings all of them back, another epoch shuffles anew.
 */
export class Sticky {
  private readonly config: StickyRoute;
  private readonly service: string;
  private readonly secret: Buffer;

  /** `ownKey` signs when the route brings no secret. */
  constructor(config: StickyRoute, service: string, ownKey: Buffer) {
    this.config = config;
    this.service = service;
    this.secret = config.secret === null ? ownKey : Buffer.from(config.secret, 'base64');
  }

  /**
   * The place in the request's cookie, or -1 when there is none that we signed for this epoch. A request may carry several of the name, of other paths and
   * domains, in an order that means nothing (RFC 6265 sections 4.2.2 and 5.4): the first that is ours counts.
   */
  placeOf(head: Head, buf: Buffer): number {
    let candidates = 0;
    for (let i = 0; i < head.count; i++) {
      if (head.id[i] !== H.cookie) continue;
      const text = buf.toString('latin1', head.valueStart[i], head.valueEnd[i]);
      for (const pair of text.split(';')) {
        const at = pair.indexOf('=');
        if (at <= 0 || pair.slice(0, at).trim() !== this.config.cookie) continue;
        const place = this.verify(pair.slice(at + 1).trim());
        if (place >= 0 || ++candidates === MAX_CANDIDATES) return place;
      }
    }
    return -1;
  }

  private verify(value: string): number {
    const match = /^(\d{1,9})\.(\d{1,4})\.([A-Za-z0-9_-]{22})$/.exec(value);
    if (match === null || Number(match[1]) !== this.config.epoch) return -1;
    const place = Number(match[2]);
    const given = Buffer.from(match[3] as string, 'base64url');
    return given.length === MAC_BYTES && timingSafeEqual(given, this.mac(place)) ? place : -1;
  }

  private mac(place: number): Buffer {
    const text = `${this.service}\n${this.config.epoch}\n${place}`;
    return createHmac('sha256', this.secret).update(text).digest().subarray(0, MAC_BYTES);
  }

  /** The Set-Cookie line for a new place, with its CRLF. */
  setCookie(place: number): Buffer {
    const { cookie, epoch, maxAgeS } = this.config;
    const value = `${epoch}.${place}.${this.mac(place).toString('base64url')}`;
    return ascii(`Set-Cookie: ${cookie}=${value}; Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Lax\r\n`);
  }
}
