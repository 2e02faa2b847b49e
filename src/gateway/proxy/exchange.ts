/**
 * One request and its answer: choose an arm and an instance, send, try again, relay. One exchange object serves a client
 * connection for its life; requests of one connection come one after the other (RFC 9112 section 9.3.2).
 */
import type { FaultHit, FaultTarget } from '../../traffic/fault-book.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import { BodyReader, type BodySink, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { type ForwardContext, REQUEST_HEAD_EXTRA, writeRequestHead } from '../http1/forward.ts';
import { asksForWebSocket, type Head } from '../http1/head.ts';
import { isEventStream } from '../http1/media-type.ts';
import { isSafeMethod, M } from '../http1/names.ts';
import { relayChunks, relayed } from '../http1/relay.ts';
import { isGrpc, outcomeOfStatus, statusInHead, statusInTrailers } from '../http2/grpc.ts';
import { limits } from '../limits.ts';
import { stamp } from '../net/now.ts';
import { scratch } from '../net/scratch.ts';
import { randomShare } from '../random.ts';
import type { Endpoint } from '../route/endpoint.ts';
import type { Route } from '../route/route.ts';
import { F } from '../stats/flags.ts';
import { ABORTED, type Outcome, RESET, TIMEOUT } from '../stats/outcome.ts';
import { Account } from './account.ts';
import { type AdmissionContext, countRefusal, isOverCap, type Refusal, refusalOf } from './admission.ts';
import { type Cause, detailOf } from './answer.ts';
import { type AnswerContext, AnswerRelay } from './answer-relay.ts';
import type { ClientConnection } from './client.ts';
import { mayCopy } from './mirror.ts';
import { Outgoing } from './outgoing.ts';
import { rateLimitFields } from './rate-limit.ts';
import { backOffMs, isRetriableStatus, retryAfterMs } from './retry.ts';
import { Throttle } from './throttle.ts';
import { Upstream, type UpstreamUser } from './upstream.ts';

/** Octets of a body after which the reader gets a buffer of its own. */
const BULK_BYTES = 64 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** Objects that are handed over and read within one call; kept so that a request allocates none of them. */
const forwardContext: ForwardContext = {
  forwarded: NO_BYTES,
  element: NO_BYTES,
  trusted: false,
  fallbackHost: NO_BYTES,
  webSocket: false,
};
const admission: AdmissionContext = { grpc: false, close: false };
const answerContext: AnswerContext = { headOnly: false, minor: 1, close: false, extra: null };
const faultTarget: FaultTarget = { service: '', version: '', instance: '', zone: null };

export class Exchange implements UpstreamUser, BodySink {
  active = false;
  tunnelling = false;
  readonly requestBody = new BodyReader();
  private readonly client: ClientConnection;
  private readonly account = new Account();
  private readonly out = new Outgoing();
  private readonly answer: AnswerRelay;
  private upstream: Upstream | null = null;
  private routeEndsMs = 0;
  /** The wait before a retry, or an injected delay. */
  private timer: NodeJS.Timeout | null = null;

  /** Of the request. */
  private minor = 1;
  private headOnly = false;
  private wantsClose = false;
  private idempotent = false;
  private webSocket = false;
  private grpc = false;
  private setCookie: Buffer | null = null;

  /** Of the present try: its octets were sent; the fault that hit it; the free repetition was used. */
  private sending = false;
  private fault: FaultRule | null = null;
  private freshTried = false;
  /** All of the request is still at hand. */
  private replayable = true;

  /** Of the answer. */
  private started = false;
  private interim = 0;
  private status = 0;
  /** What the counters get as the status: for gRPC the one that `grpc-status` stands for. */
  private outcomeStatus = 0;
  private upstreamReusable = true;
  private sentWhole = false;

  constructor(client: ClientConnection) {
    this.client = client;
    this.answer = new AnswerRelay(client.channel);
  }

  private get route(): Route {
    return this.account.route;
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  /** Takes a request whose head was just parsed. Returns the index after the octets used, body included. */
  begin(head: Head, buf: Buffer, end: number): number {
    const nowMs = stamp();
    const route = this.client.listener.route;
    this.account.open(route, this.client.caller.of(head, buf, route.state.callers), nowMs);
    this.reset(head, route, nowMs);
    const close = this.wantsClose || head.chunked || head.contentLength > 0 || this.client.listener.draining;
    this.grpc = admission.grpc = isGrpc(head, buf);
    admission.close = close;
    const refusal = refusalOf(head, buf, route, nowMs, admission);
    if (refusal !== null) return this.refuse(head, refusal);
    const { arm, cohort, setCookie } = route.choose(head, buf, nowMs);
    this.setCookie = setCookie;
    this.account.admit(arm, cohort === 'header');
    // An instance that speaks HTTP/2 only cannot switch protocols (RFC 9113 section 8.6).
    this.webSocket = route.config.webSocket !== false && !route.overHttp2 && asksForWebSocket(head, buf);
    this.writeHead(head, buf);
    if (route.mirror !== null && !this.webSocket && mayCopy(head))
      route.mirror.offer(this.out.octets(), this.headOnly, nowMs);
    const kind = head.chunked ? BY_CHUNKS : head.contentLength > 0 ? BY_LENGTH : NO_BODY;
    this.requestBody.begin(kind, head.contentLength);
    const next = this.requestBody.done ? head.end : this.feedRequest(buf, head.end, end);
    if (this.active) this.startTry(nowMs);
    return next;
  }

  private reset(head: Head, route: Route, nowMs: number): void {
    this.active = true;
    this.routeEndsMs = nowMs + route.config.timeoutMs;
    this.minor = head.minor;
    this.headOnly = head.method === M.head;
    this.wantsClose = head.close || (head.minor === 0 && !head.keepAlive);
    this.idempotent = isSafeMethod(head.method) || head.idempotencyKey;
    this.upstream = this.fault = this.setCookie = null;
    this.interim = this.status = 0;
    this.sending = this.freshTried = this.started = this.tunnelling = this.sentWhole = false;
    this.replayable = this.upstreamReusable = true;
  }

  private refuse(head: Head, refusal: Refusal): number {
    countRefusal(this.route, refusal);
    this.account.noteOwn(refusal.answer.status, refusal.flag, stamp(), null);
    this.settle();
    this.client.answerOwn({ ...refusal.answer, grpc: this.grpc });
    return head.end;
  }

  private writeHead(head: Head, buf: Buffer): void {
    this.client.tell(forwardContext);
    forwardContext.webSocket = this.webSocket;
    const to = this.out.open(head.end - head.start + REQUEST_HEAD_EXTRA);
    const length = writeRequestHead(head, buf, to, forwardContext);
    this.out.setHead(length);
  }

  /** Body octets from the client. Returns the index after those used. */
  feedRequest(buf: Buffer, start: number, end: number): number {
    const body = this.requestBody;
    let next: number;
    if (body.kind === BY_CHUNKS) {
      relayChunks(body, buf, start, end, 0, false);
      next = relayed.consumed;
      if (!body.failed && relayed.end > relayed.start) this.sendChunks(relayed.start, relayed.end);
    } else {
      next = body.feed(buf, start, end, this);
    }
    if (body.failed) return this.badBody(end);
    if (body.seen > BULK_BYTES && !body.done) this.client.channel.beginBulk();
    if (body.done) this.requestComplete();
    else if (this.upstream !== null) this.client.setDeadline(stamp() + this.pauseMs);
    return next;
  }

  /** How long nothing may move; it begins anew with each piece, so that a long upload is no stalled one. */
  private get pauseMs(): number {
    return this.started ? Math.max(limits.answerIdleMs, this.route.config.timeoutMs) : limits.bodyIdleMs;
  }

  bodyData(buf: Buffer, start: number, end: number): void {
    this.keepForReplay(buf, start, end);
    if (this.sending && this.upstream?.channel.forwardFrom(this.client.channel, buf, start, end) === false) {
      this.client.channel.pause();
    }
  }

  private sendChunks(start: number, end: number): void {
    this.keepForReplay(scratch(), start, end);
    if (this.sending && this.upstream?.channel.writeScratch(start, end) === false) this.client.channel.pause();
  }

  /** Keeps octets until they were sent, and as long as the try might have to be repeated. */
  private keepForReplay(buf: Buffer, start: number, end: number): void {
    if (this.sending && !this.replayable) return;
    if (this.sending && this.out.bodyLength + end - start > limits.replayBytes) {
      this.replayable = false;
      return;
    }
    this.out.append(buf, start, end);
    // Not connected yet: the client waits once there is enough to begin with.
    if (!this.sending && this.out.bodyLength > limits.replayBytes) this.client.channel.pause();
  }

  private requestComplete(): void {
    this.client.channel.endBulk(this.upstream?.channel ?? null);
    // The version's time runs from here: a slow upload is the client's.
    const nowMs = stamp();
    this.account.requestComplete(nowMs);
    this.routeEndsMs = nowMs + this.route.config.timeoutMs;
    if (this.upstream !== null && !this.started) this.setTryDeadline(nowMs);
  }

  /** The client's body is malformed: it is never completed for the upstream (RFC 9112 section 8). */
  private badBody(end: number): number {
    this.dropUpstream();
    this.route.state.own.badRequest++;
    const { started } = this;
    this.settle();
    if (started) this.client.destroy();
    else this.client.answerAndClose(400, 'bad-request', 'malformed chunked body', this.headOnly);
    return end;
  }

  // ---- tries -------------------------------------------------------------------------------------------------------

  private startTry(nowMs: number): void {
    const { account } = this;
    this.fault = null;
    this.sending = this.freshTried = false;
    const endpoint = account.arm.pick(nowMs, account.tried);
    if (endpoint === null) {
      this.route.state.own.noUpstream++;
      this.answerAlone(503, 'no-upstream', `no instance of ${account.arm.version} is known`, F.noHealthyUpstream);
    } else if (isOverCap(endpoint, this.route)) {
      this.route.state.own.breaker++;
      this.answerAlone(503, 'breaker', 'too many connections to the instance, or waiting for one', F.overflow);
    } else {
      account.beginTry(endpoint);
      if (!this.injected(endpoint, nowMs)) this.connect(endpoint, nowMs, true);
    }
  }

  private connect(endpoint: Endpoint, nowMs: number, mayReuse: boolean): void {
    this.account.dispatch(this.requestBody.done);
    const { wheel } = this.client.listener.context;
    this.upstream = Upstream.to(endpoint, wheel, this, this.route.overHttp2, mayReuse);
    this.setTryDeadline(nowMs);
    if (this.upstream.connected) this.send(this.upstream);
    else this.account.setPending(true);
  }

  private setTryDeadline(nowMs: number): void {
    const endMs = Math.min(nowMs + this.route.perTryMs, this.routeEndsMs);
    this.client.setDeadline(this.requestBody.done ? endMs : nowMs + limits.bodyIdleMs);
  }

  onUpstreamConnected(upstream: Upstream): void {
    if (upstream === this.upstream) this.send(upstream);
  }

  private send(upstream: Upstream): void {
    this.sending = true;
    this.account.setPending(false);
    const drained = upstream.channel.writeStable(this.out.octets());
    if (!this.idempotent) this.replayable = false;
    if (drained) this.client.channel.resume();
  }

  onUpstreamDrain(): void {
    this.client.channel.resume();
  }

  /** The try's or the request's time is over, or the client stopped sending or reading, or (it is held back) the instance stopped taking. */
  onDeadline(nowMs: number): void {
    if (this.started) {
      this.answerStalled();
    } else if (this.requestBody.done) {
      this.tryFailed(TIMEOUT, nowMs >= this.routeEndsMs ? F.routeTimeout : F.timeout, 'upstream-timeout');
    } else if (this.sending && this.client.channel.paused) {
      this.tryFailed(TIMEOUT, F.timeout, 'upstream-timeout');
    } else {
      this.dropUpstream();
      this.route.state.own.badRequest++;
      this.answerAlone(408, 'bad-request', 'the request body stopped coming', F.clientProtocol);
    }
  }

  /** In the middle of an answer: either the upstream stopped sending or the client stopped reading. */
  private answerStalled(): void {
    const clientSlow = !this.client.channel.flushed;
    this.dropUpstream();
    this.finish(clientSlow ? ABORTED : TIMEOUT, clientSlow ? F.clientLeft : F.timeout);
    this.client.destroy();
  }

  onUpstreamFault(_upstream: Upstream, detail: string): void {
    if (this.started) this.breakOff(F.upstreamProtocol);
    else this.tryFailed(RESET, F.upstreamProtocol, 'upstream-protocol', detail);
  }

  /** An answer that cannot be completed: the client must see that it is not whole. */
  private breakOff(flag: number): void {
    this.dropUpstream();
    this.finish(RESET, flag);
    this.client.destroy();
  }

  onUpstreamEnd(): boolean {
    if (this.tunnelling) this.client.tunnelTargetEnded();
    return this.tunnelling;
  }

  onUpstreamGone(upstream: Upstream, answered: boolean, cleanly: boolean): void {
    if (upstream !== this.upstream) return;
    this.upstream = null;
    if (this.tunnelling) this.account.leave();
    if (this.tunnelling) this.client.endTunnel();
    else if (this.started) this.endedByClose(cleanly);
    else if (upstream.served > 0 && !answered && this.canRepeatFresh()) this.repeatFresh(upstream.endpoint);
    else if (!upstream.connected) this.tryFailed(RESET, F.connectFailure, 'connect-failure');
    else this.tryFailed(RESET, F.reset, 'upstream-reset');
  }

  /**
   * An idle connection that the server closed as we used it is nobody's fault: once more, on a new connection to the same
   * instance. Only what can be repeated (`replayable` is false once anything else was sent).
   */
  private canRepeatFresh(): boolean {
    return !this.freshTried && this.replayable && this.interim === 0;
  }

  private repeatFresh(endpoint: Endpoint): void {
    this.freshTried = true;
    this.sending = false;
    this.connect(endpoint, stamp(), false);
  }

  private tryFailed(outcome: Outcome, flag: number, cause: Cause, detail = detailOf(cause)): void {
    const nowMs = stamp();
    const swallowed = this.fault !== null && !this.account.dispatched;
    this.dropUpstream();
    this.account.endTry(swallowed ? ABORTED : outcome, nowMs);
    if (this.mayRetry(nowMs, flag === F.connectFailure)) {
      this.retryLater(nowMs, 0);
    } else if (swallowed) {
      this.answerInjected(504, F.delayInjected);
    } else {
      this.answerFailure(outcome, flag, cause, detail, nowMs);
    }
  }

  /** The last try failed: the client gets an answer of ours, the version is charged. */
  private answerFailure(outcome: Outcome, flag: number, cause: Cause, detail: string, nowMs: number): void {
    const status = outcome === TIMEOUT ? 504 : 502;
    const close = this.mustClose();
    this.finish(outcome, flag, nowMs, status);
    this.client.answerOwn({ status, cause, detail, headOnly: this.headOnly, close, grpc: this.grpc });
  }

  /** `unsent`: not one octet reached an instance, so any request may go to another one. */
  private mayRetry(nowMs: number, unsent: boolean): boolean {
    const spec = this.route.config.retries;
    if (spec === null || this.account.tries >= spec.maxTries || nowMs >= this.routeEndsMs) return false;
    if (this.started || this.interim > 0) return false;
    if (!unsent && !(this.idempotent && this.replayable && this.requestBody.done)) return false;
    return this.route.state.budget.allows(spec.budgetShare);
  }

  private retryLater(nowMs: number, atLeastMs: number): void {
    const { account } = this;
    const waitMs = atLeastMs + backOffMs(account.tries, randomShare());
    if (nowMs + waitMs >= this.routeEndsMs) {
      const cause = account.lastOutcome === TIMEOUT ? 'upstream-timeout' : 'upstream-reset';
      this.answerFailure(account.lastOutcome, F.retryLimit, cause, 'no time is left for another try', nowMs);
      return;
    }
    account.beginRetry();
    this.sending = false;
    this.client.clearDeadline();
    this.timer = setTimeout(() => {
      this.timer = null;
      this.startTry(stamp());
    }, waitMs);
  }

  // ---- injected faults ---------------------------------------------------------------------------------------------

  /** Whether a fault in force takes this try over. */
  private injected(endpoint: Endpoint, nowMs: number): boolean {
    faultTarget.service = this.route.config.service;
    faultTarget.version = endpoint.version;
    faultTarget.instance = endpoint.id;
    faultTarget.zone = endpoint.zone;
    const hit = this.client.listener.context.faults.hit(faultTarget, nowMs);
    if (hit === null) return false;
    this.fault = hit.rule;
    const { action } = hit.rule;
    if (action.kind === 'bandwidth') {
      this.answer.throttle = new Throttle(this.client.channel, action.bytesPerSecond, () =>
        this.upstream?.channel.resume(),
      );
      return false;
    }
    this.setTryDeadline(nowMs);
    if (action.kind === 'delay') this.delay(endpoint, nowMs, action.delayMs, hit);
    else if (action.kind === 'abort') this.abort(action.status, nowMs);
    return true;
  }

  private delay(endpoint: Endpoint, nowMs: number, delayMs: number, hit: FaultHit): void {
    this.timer = setTimeout(() => {
      this.timer = null;
      const now = stamp();
      this.account.delayedMs += now - nowMs;
      hit.added(now - nowMs);
      this.connect(endpoint, now, true);
    }, delayMs);
  }

  private abort(status: number, nowMs: number): void {
    this.account.endTry(ABORTED, nowMs);
    if (isRetriableStatus(status) && this.mayRetry(nowMs, false)) this.retryLater(nowMs, 0);
    else this.answerInjected(status, F.faultInjected);
  }

  /** What a fault answered or swallowed is the gateway's own doing: no version is charged. */
  private answerInjected(status: number, flag: number): void {
    this.route.state.own.injected++;
    const extra = `x-fault-injected: ${this.fault?.id ?? ''}\r\n`;
    this.answerAlone(status, 'injected', 'a fault is being rehearsed on this route', flag, extra);
  }

  /** An answer of the gateway's own for which no version is charged. */
  private answerAlone(status: number, cause: Cause, detail: string, flag: number, extra = ''): void {
    this.account.noteOwn(status, flag, stamp(), this.out);
    const close = this.mustClose();
    this.route.state.breaker.releaseProbe();
    this.settle();
    this.client.answerOwn({ status, cause, detail, headOnly: this.headOnly, close, extra, grpc: this.grpc });
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status === 101) return this.onSwitching(upstream, head, buf, end);
    if (head.status < 200) return this.onInterim(upstream, head, buf, end);
    if (isRetriableStatus(head.status) && this.retriesStatus(upstream, head, buf)) return end;
    this.status = this.outcomeStatus = head.status;
    this.upstreamReusable = !head.close && (head.minor === 1 || head.keepAlive);
    this.started = true;
    answerContext.headOnly = this.headOnly;
    answerContext.minor = this.minor;
    answerContext.close = this.mustClose();
    answerContext.extra = this.extraFields();
    const next = this.answer.begin(upstream, head, buf, end, answerContext);
    this.account.noteHead(head.status, !this.answer.body.done && (this.grpc || isEventStream(head, buf)));
    // A gRPC answer without a body has its status in the head.
    if (this.grpc && head.status === 200 && this.answer.body.done)
      this.outcomeStatus = outcomeOfStatus(statusInHead(head, buf));
    return this.afterOctets(upstream, next, end);
  }

  private extraFields(): Buffer | null {
    const { bucket } = this.route.state;
    const limitFields = bucket === null ? null : rateLimitFields(bucket);
    return this.setCookie === null ? limitFields : Buffer.concat([this.setCookie, limitFields ?? NO_BYTES]);
  }

  /** Also for an answer before the whole request: both connections close (RFC 9112 sections 9.3.2 and 9.6). */
  private mustClose(): boolean {
    return this.wantsClose || this.client.listener.draining || !this.requestBody.done;
  }

  onResponseBody(upstream: Upstream, buf: Buffer, start: number, end: number): number {
    if (this.tunnelling) return this.client.tunnelToClient(buf, start, end);
    return this.afterOctets(upstream, this.answer.feed(upstream, buf, start, end), end);
  }

  /** `next`: the index after the octets used; when some are left over, the connection must not carry another request. */
  private afterOctets(upstream: Upstream, next: number, end: number): number {
    if (next < 0) {
      this.breakOff(F.upstreamProtocol);
      return end;
    }
    const { body } = this.answer;
    if (body.done) {
      this.answerComplete(upstream, next === end);
      return next;
    }
    if (body.seen + body.remaining > BULK_BYTES) upstream.channel.beginBulk();
    // From here the request's budget is spent: what counts is that octets keep moving.
    this.client.setDeadline(stamp() + this.pauseMs);
    return next;
  }

  private answerComplete(upstream: Upstream, usedUp: boolean): void {
    const nowMs = stamp();
    this.upstream = null;
    upstream.channel.endBulk(this.client.channel);
    this.sentWhole = upstream.channel.flushed;
    if (usedUp && this.upstreamReusable && this.requestBody.done && this.sentWhole) upstream.release();
    else upstream.abandon();
    this.complete(nowMs);
  }

  private endedByClose(cleanly: boolean): void {
    if (this.answer.endedByClose(cleanly)) this.complete(stamp());
    else this.breakOff(F.reset);
  }

  /** The whole answer is on its way to the client. */
  private complete(nowMs: number): void {
    const throttled = this.answer.throttle !== null;
    if (throttled) this.client.clearDeadline();
    this.answer.whenSent(() => {
      const { body, framing } = this.answer;
      if (this.grpc && this.status === 200 && body.kind === BY_CHUNKS) {
        this.outcomeStatus = outcomeOfStatus(statusInTrailers(body.trailers));
      }
      const flag = this.fault === null ? F.none : F.delayInjected;
      this.finish(this.outcomeStatus, flag, throttled ? stamp() : nowMs, this.status);
      this.client.exchangeDone(framing.close);
    });
  }

  /** 1xx: passed on to clients that know them (RFC 9110 section 15.2). */
  private onInterim(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (++this.interim > limits.interimResponses) {
      this.onUpstreamFault(upstream, `more than ${limits.interimResponses} interim answers`);
      return end;
    }
    if (this.minor === 1) this.answer.bodyless(head, buf, false);
    return head.end;
  }

  private onSwitching(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (!this.webSocket || head.upgradeAt < 0 || !head.upgradeOption) {
      this.onUpstreamFault(upstream, '101 without a request to switch');
      return end;
    }
    this.answer.bodyless(head, buf, true);
    this.account.beginTunnel(stamp(), this.out);
    this.tunnelling = this.started = true;
    this.client.beginTunnel(upstream);
    return this.client.tunnelToClient(buf, head.end, end);
  }

  /** 502, 503 and 504 are tried again when that is allowed; the answer is dropped. */
  private retriesStatus(upstream: Upstream, head: Head, buf: Buffer): boolean {
    const nowMs = stamp();
    const waitMs = retryAfterMs(head, buf);
    if (!this.mayRetry(nowMs, false) || nowMs + waitMs >= this.routeEndsMs) return false;
    this.upstream = null;
    upstream.abandon();
    this.account.endTry(head.status, nowMs);
    this.retryLater(nowMs, waitMs);
    return true;
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  /** The client closed its connection. */
  clientGone(): void {
    if (!this.active) return;
    // A tunnel lets its target go by itself, after what is still on its way.
    if (this.tunnelling) this.upstream = null;
    else this.dropUpstream();
    this.finish(ABORTED, F.clientLeft);
  }

  /** The octets written to a client have left: the upstream may go on. */
  onClientDrain(): void {
    this.upstream?.channel.resume();
  }

  private dropUpstream(): void {
    const upstream = this.upstream;
    this.upstream = null;
    upstream?.abandon();
  }

  /** Books the final outcome, once; a tunnel's was booked when it began. */
  private finish(outcome: Outcome, flag: number, nowMs = stamp(), status = outcome > 0 ? this.status : 0): void {
    if (!this.tunnelling) {
      this.account.endTry(outcome, nowMs);
      this.account.finish(outcome, status, flag, nowMs, this.out);
    }
    this.settle();
  }

  /** Gives back what the exchange held. */
  private settle(): void {
    if (!this.active) return;
    this.active = false;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.answer.close();
    this.account.settle();
    this.out.close(this.sentWhole);
  }
}
