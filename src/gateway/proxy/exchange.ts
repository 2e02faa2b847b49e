/**
 * One request and its answer: choose an arm and an instance, send, retry, relay, count. One exchange object serves a
 * client connection for its life; requests of one connection come one after the other (RFC 9112 section 9.3.2).
 */
import { performance } from 'node:perf_hooks';
import type { FaultHit } from '../../traffic/fault-book.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import { BodyReader, type BodySink, BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { REQUEST_HEAD_EXTRA, type ResponseFraming, writeRequestHead, writeResponseHead } from '../http1/forward.ts';
import { asksForWebSocket, faults, type Head, M } from '../http1/head.ts';
import { relayChunks, relayed } from '../http1/relay.ts';
import { isGrpc, outcomeOfStatus, statusInHead, statusInTrailers } from '../http2/grpc.ts';
import { limits } from '../limits.ts';
import { scratch } from '../net/channel.ts';
import { randomShare } from '../random.ts';
import { noteOutcome } from '../route/ejection.ts';
import type { Arm, Endpoint } from '../route/endpoint.ts';
import type { Route } from '../route/route.ts';
import { F } from '../stats/flags.ts';
import { ABORTED, isFailure, type Outcome, RESET, TIMEOUT } from '../stats/outcome.ts';
import { writeAccessLine } from './access-log.ts';
import type { Cause } from './answer.ts';
import type { ClientConnection } from './client.ts';
import { limitAnswer, rateLimitFields } from './rate-limit.ts';
import { Throttle } from './throttle.ts';
import { Upstream, type UpstreamUser } from './upstream.ts';

const SMALL = 4096;
const spareOut: Buffer[] = [];
const BACKOFF_BASE_MS = 25;
/** Octets of a body after which the reader gets a buffer of its own. */
const BULK_BYTES = 64 * 1024;
const NO_ENDPOINTS: Endpoint[] = [];

export class Exchange implements UpstreamUser, BodySink {
  active = false;
  readonly requestBody = new BodyReader();
  private readonly responseBody = new BodyReader();
  private readonly client: ClientConnection;
  private readonly framing: ResponseFraming = {
    dropLength: false,
    chunked: false,
    close: false,
    sayKeepAlive: false,
    webSocket: false,
    extra: null,
  };

  private route!: Route;
  private arm!: Arm;
  private byHeader = false;
  private endpoint: Endpoint | null = null;
  private upstream: Upstream | null = null;
  /** Where the last finished try went, and how it ended. */
  private lastEndpoint: Endpoint | null = null;
  private lastOutcome: Outcome = 0;
  private tried: Endpoint[] = NO_ENDPOINTS;
  private tries = 0;
  private startedMs = 0;
  private routeEndsMs = 0;
  private retryTimer: NodeJS.Timeout | null = null;
  /** This try is a retry and counts against the budget. */
  private retrying = false;

  private minor = 1;
  private headOnly = false;
  private wantsClose = false;
  private idempotent = false;
  private webSocket = false;
  private grpc = false;
  private overHttp2 = false;
  /** What the counters get as the answer's status: for gRPC the one that `grpc-status` stands for. */
  private outcomeStatus = 0;
  tunnelling = false;

  /** The forwarded head and the body so far, for the connection to come and for retries. */
  private out: Buffer = Buffer.alloc(0);
  private outLength = 0;
  private headLength = 0;
  /** The kernel has all of `out`. */
  private outFree = false;
  private replayable = true;
  private sending = false;
  /** The fault that hit the present try, the delay that faults added, and what slows the answer. */
  private fault: FaultRule | null = null;
  private setCookie: Buffer | null = null;
  /** The try waits for a new connection. */
  private pending = false;
  private delayedMs = 0;
  private throttle: Throttle | null = null;
  /** This try went to its instance. */
  private dispatched = false;
  /** The free repetition on a fresh connection was used. */
  private freshTried = false;
  private responseStarted = false;
  private interim = 0;
  private status = 0;
  private upstreamReusable = true;

  constructor(client: ClientConnection) {
    this.client = client;
  }

  /** Takes a request whose head was just parsed. Returns the index after the octets used; body included. */
  begin(head: Head, buf: Buffer, end: number): number {
    const nowMs = performance.now();
    const route = this.client.listener.route;
    this.reset(head, route, nowMs);
    if (head.method === M.connect) return this.refuse(head, faults.connect.status, faults.connect.detail);
    const state = route.state;
    if (state.bucket !== null && !state.bucket.take(nowMs)) {
      if (route.config.rateLimitMode !== 'shadow') return this.limited(head);
      state.shadowLimited++;
    }
    const caps = route.config.caps;
    if (caps?.maxRequests !== undefined && state.budget.activeRequests >= caps.maxRequests) {
      return this.shed(head, `more than ${caps.maxRequests} requests in progress`, 1);
    }
    if (route.config.breaker != null && !state.breaker.admits(nowMs)) {
      return this.shed(head, 'the route is open after failures in a row', state.breaker.secondsToProbe(nowMs));
    }
    const chosen = route.choose(head, buf, nowMs);
    this.arm = chosen.arm;
    this.byHeader = chosen.cohort === 'header';
    this.setCookie = chosen.setCookie;
    this.grpc = isGrpc(head, buf);
    this.overHttp2 = this.grpc || route.config.protocol === 'h2c';
    this.webSocket = route.config.webSocket !== false && asksForWebSocket(head, buf);
    state.budget.activeRequests++;
    this.writeHead(head, buf);
    if (route.mirror !== null && this.isSafe(head)) {
      route.mirror.offer(this.out.subarray(0, this.outLength), this.headOnly, nowMs);
    }
    this.requestBody.begin(head.chunked ? BY_CHUNKS : head.contentLength > 0 ? BY_LENGTH : NO_BODY, head.contentLength);
    const next = this.requestBody.done ? head.end : this.feedRequest(buf, head.end, end);
    if (this.active) this.startTry(nowMs);
    return next;
  }

  /** Only requests that change nothing and have no body are copied. */
  private isSafe(head: Head): boolean {
    const safe = head.method === M.get || head.method === M.head || head.method === M.options;
    return safe && !this.webSocket && !head.chunked && head.contentLength <= 0;
  }

  private reset(head: Head, route: Route, nowMs: number): void {
    this.active = true;
    this.route = route;
    this.startedMs = nowMs;
    this.routeEndsMs = nowMs + route.config.timeoutMs;
    this.minor = head.minor;
    this.headOnly = head.method === M.head;
    this.wantsClose = head.close || (head.minor === 0 && !head.keepAlive);
    this.idempotent =
      head.method === M.get || head.method === M.head || head.method === M.options || head.idempotencyKey;
    this.endpoint = this.upstream = null;
    this.tried = NO_ENDPOINTS;
    this.outLength = 0;
    this.tries = this.interim = this.status = this.delayedMs = 0;
    this.fault = this.throttle = this.setCookie = null;
    this.pending = false;
    this.retrying = this.sending = this.freshTried = this.responseStarted = this.tunnelling = this.outFree = false;
    this.replayable = this.upstreamReusable = true;
  }

  private writeHead(head: Head, buf: Buffer): void {
    const room = head.end - head.start + REQUEST_HEAD_EXTRA;
    this.out = room <= SMALL ? (spareOut.pop() ?? Buffer.allocUnsafeSlow(SMALL)) : Buffer.allocUnsafe(room);
    this.headLength = this.outLength = writeRequestHead(head, buf, this.out, {
      forwarded: this.client.forwarded,
      trusted: this.client.listener.trusts(this.client.address),
      fallbackHost: this.client.listener.fallbackHost,
      webSocket: this.webSocket,
    });
  }

  // ---- the request's body ------------------------------------------------------------------------------------------

  /** Body octets from the client. Returns the index after those used. */
  feedRequest(buf: Buffer, start: number, end: number): number {
    const body = this.requestBody;
    let next: number;
    if (body.kind === BY_CHUNKS) {
      relayChunks(body, buf, start, end, 0, false);
      next = relayed.consumed;
      if (!body.failed && relayed.end > relayed.start) this.sendScratch(relayed.start, relayed.end);
    } else {
      next = body.feed(buf, start, end, this);
    }
    if (body.failed) return this.badBody(end);
    if (body.seen > BULK_BYTES && !body.done) this.client.channel.beginBulk();
    if (body.done) this.requestComplete();
    return next;
  }

  bodyData(buf: Buffer, start: number, end: number): void {
    this.keepForReplay(buf, start, end);
    if (!this.sending) return;
    const upstream = this.upstream as Upstream;
    if (!upstream.channel.forwardFrom(this.client.channel, buf, start, end)) this.client.channel.pause();
  }

  private sendScratch(start: number, end: number): void {
    this.keepForReplay(scratch(), start, end);
    if (this.sending && !(this.upstream as Upstream).channel.writeScratch(start, end)) this.client.channel.pause();
  }

  /** Keeps octets until they were sent, and as long as the try might have to be repeated. */
  private keepForReplay(buf: Buffer, start: number, end: number): void {
    if (this.sending && !this.replayable) return;
    const length = this.outLength + end - start;
    if (this.sending && length - this.headLength > limits.replayBytes) {
      this.replayable = false;
      return;
    }
    if (length > this.out.length) this.growOut(length);
    this.out.set(buf.subarray(start, end), this.outLength);
    this.outLength = length;
    // Not connected yet: the client waits once there is enough to begin with.
    if (!this.sending && length - this.headLength > limits.replayBytes) this.client.channel.pause();
  }

  private growOut(length: number): void {
    const larger = Buffer.allocUnsafe(Math.max(length, this.out.length * 2));
    larger.set(this.out.subarray(0, this.outLength));
    this.out = larger;
  }

  private requestComplete(): void {
    this.client.channel.endBulk(this.upstream?.channel ?? null);
    // The version's time runs from here: a slow upload is the client's.
    const nowMs = performance.now();
    this.startedMs = nowMs;
    this.routeEndsMs = nowMs + this.route.config.timeoutMs;
    if (this.upstream !== null) this.setTryDeadline(nowMs);
  }

  /** The client's body is malformed: it is never completed for the upstream (RFC 9112 section 8). */
  private badBody(end: number): number {
    this.dropUpstream();
    this.route.state.own.badRequest++;
    const started = this.responseStarted;
    this.settle();
    if (started) this.client.destroy();
    else this.client.answerAndClose(400, 'bad-request', 'malformed chunked body', this.headOnly);
    return end;
  }

  // ---- tries -------------------------------------------------------------------------------------------------------

  private startTry(nowMs: number): void {
    const endpoint = this.arm.pick(nowMs, this.tried);
    if (endpoint === null) {
      this.noUpstream();
      return;
    }
    if (this.isOverCap(endpoint)) {
      this.overflow();
      return;
    }
    this.tries++;
    this.endpoint = endpoint;
    if (this.tries === 1) this.noteExposure();
    endpoint.inFlight++;
    if (!this.injected(endpoint, nowMs)) this.connect(endpoint, nowMs, true);
  }

  /** Whether the try would need a connection beyond the caps (Envoy: `max_connections`, `max_pending_requests`). */
  private isOverCap(endpoint: Endpoint): boolean {
    if (endpoint.idle.length > 0) return false;
    const { caps } = this.route.config;
    const maxConnections = Math.min(limits.upstreamConnections, caps?.maxConnections ?? limits.upstreamConnections);
    return (
      endpoint.open >= maxConnections || this.route.state.pending >= (caps?.maxPending ?? Number.POSITIVE_INFINITY)
    );
  }

  private setPending(pending: boolean): void {
    if (pending === this.pending) return;
    this.pending = pending;
    this.route.state.pending += pending ? 1 : -1;
  }

  // ---- injected faults ---------------------------------------------------------------------------------------------

  /** Whether a fault in force takes this try over. */
  private injected(endpoint: Endpoint, nowMs: number): boolean {
    this.fault = null;
    this.dispatched = false;
    const { service } = this.route.config;
    const target = { service, version: endpoint.version, instance: endpoint.id, zone: endpoint.zone };
    const hit = this.client.listener.context.faults.hit(target, nowMs);
    if (hit === null) return false;
    this.fault = hit.rule;
    const { action } = hit.rule;
    if (action.kind === 'bandwidth') {
      this.throttle = new Throttle(this.client.channel, action.bytesPerSecond, () => this.upstream?.channel.resume());
      return false;
    }
    this.setTryDeadline(nowMs);
    if (action.kind === 'delay') this.delay(endpoint, nowMs, action.delayMs, hit);
    else if (action.kind === 'abort') this.abort(action.status);
    return true;
  }

  private delay(endpoint: Endpoint, nowMs: number, delayMs: number, hit: FaultHit): void {
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null;
      const now = performance.now();
      this.delayedMs += now - nowMs;
      hit.added(now - nowMs);
      this.connect(endpoint, now, true);
    }, delayMs);
  }

  private abort(status: number): void {
    const nowMs = performance.now();
    this.endTry(ABORTED, nowMs);
    if (status >= 502 && status <= 504 && this.mayRetry(nowMs, false)) {
      this.retryLater(nowMs, 0);
      return;
    }
    this.answerInjected(status, F.faultInjected);
  }

  /** What a fault answered or swallowed is the gateway's own doing: no version is charged. */
  private answerInjected(status: number, flag: number): void {
    this.route.state.own.injected++;
    const extra = `x-fault-injected: ${this.fault?.id ?? ''}\r\n`;
    this.noteOwn(status, flag);
    const close = this.mustClose();
    this.settle();
    const detail = 'a fault is being rehearsed on this route';
    this.client.answerOwn({ status, cause: 'injected', detail, headOnly: this.headOnly, close, extra });
  }

  private connect(endpoint: Endpoint, nowMs: number, mayReuse: boolean): void {
    this.dispatched = true;
    const wheel = this.client.listener.context.wheel;
    const reused = mayReuse && !this.overHttp2 ? Upstream.reuse(endpoint, wheel, this) : null;
    this.upstream = reused ?? new Upstream(endpoint, wheel, this, this.overHttp2);
    this.setTryDeadline(nowMs);
    if (reused !== null) this.send(reused);
    else this.setPending(true);
  }

  private setTryDeadline(nowMs: number): void {
    if (!this.requestBody.done) {
      this.client.setDeadline(nowMs + limits.bodyIdleMs);
      return;
    }
    const retries = this.route.config.retries;
    const perTryMs = retries === null ? Number.POSITIVE_INFINITY : retries.perTryMs;
    this.client.setDeadline(Math.min(nowMs + perTryMs, this.routeEndsMs));
  }

  onUpstreamConnected(upstream: Upstream): void {
    if (upstream === this.upstream) this.send(upstream);
  }

  private send(upstream: Upstream): void {
    this.sending = true;
    this.setPending(false);
    const drained = upstream.channel.writeStable(this.out.subarray(0, this.outLength));
    if (!this.idempotent) this.replayable = false;
    if (drained) this.client.channel.resume();
  }

  onUpstreamDrain(): void {
    this.client.channel.resume();
  }

  /** The try's or the request's time is over, or the client stopped sending or reading. */
  onDeadline(nowMs: number): void {
    if (!this.requestBody.done && !this.responseStarted) {
      this.clientStalled();
      return;
    }
    if (this.responseStarted) {
      this.bodyStalled();
      return;
    }
    this.tryFailed(TIMEOUT, nowMs >= this.routeEndsMs ? F.routeTimeout : F.timeout, 'upstream-timeout');
  }

  private clientStalled(): void {
    this.dropUpstream();
    this.settle();
    this.client.answerAndClose(408, 'bad-request', 'the request body stopped coming', this.headOnly);
  }

  /** In the middle of an answer: either the upstream stopped sending or the client stopped reading. */
  private bodyStalled(): void {
    const clientSlow = !this.client.channel.flushed;
    this.dropUpstream();
    this.finish(clientSlow ? ABORTED : TIMEOUT, clientSlow ? F.clientLeft : F.timeout);
    this.client.destroy();
  }

  onUpstreamFault(_upstream: Upstream, detail: string): void {
    this.dropUpstream();
    if (this.responseStarted) {
      this.finish(RESET, F.upstreamProtocol);
      this.client.destroy();
      return;
    }
    this.tryFailed(RESET, F.upstreamProtocol, 'upstream-protocol', detail);
  }

  onUpstreamGone(upstream: Upstream, answered: boolean, cleanly: boolean): void {
    if (upstream !== this.upstream) return;
    this.upstream = null;
    if (this.tunnelling) {
      this.client.endTunnel();
      return;
    }
    if (this.responseStarted) {
      this.bodyEnded(cleanly);
      return;
    }
    if (upstream.served > 0 && !answered && this.canRepeatFresh()) {
      this.repeatFresh(upstream.endpoint);
      return;
    }
    if (!upstream.connected) {
      this.tryFailed(RESET, F.connectFailure, 'connect-failure');
      return;
    }
    this.tryFailed(RESET, F.reset, 'upstream-reset');
  }

  /** An idle connection that the server closed as we used it is nobody's fault: once more, on a new connection to the same instance. */
  private canRepeatFresh(): boolean {
    return !this.freshTried && this.replayable && this.interim === 0;
  }

  private repeatFresh(endpoint: Endpoint): void {
    this.freshTried = true;
    this.sending = false;
    this.connect(endpoint, performance.now(), false);
  }

  private tryFailed(outcome: Outcome, flag: number, cause: Cause, detail?: string): void {
    const nowMs = performance.now();
    const unsent = flag === F.connectFailure;
    const swallowed = this.isSwallowed();
    this.dropUpstream();
    this.endTry(swallowed ? ABORTED : outcome, nowMs);
    if (this.mayRetry(nowMs, unsent)) {
      this.retryLater(nowMs, 0);
      return;
    }
    if (swallowed) {
      this.answerInjected(504, F.delayInjected);
      return;
    }
    this.finish(outcome, flag, nowMs, outcome === TIMEOUT ? 504 : 502);
    const status = outcome === TIMEOUT ? 504 : 502;
    this.client.answerOwn({
      status,
      cause,
      detail: detail ?? describe(cause),
      headOnly: this.headOnly,
      close: this.mustClose(),
    });
  }

  /** Books what one try did: the first try's counts, the outlier state, the load. */
  private endTry(outcome: Outcome, nowMs: number): void {
    const endpoint = this.endpoint;
    if (endpoint === null) return;
    this.endpoint = null;
    endpoint.inFlight--;
    this.setPending(false);
    if (this.retrying) this.route.state.budget.activeRetries--;
    this.retrying = false;
    if (this.tries === 1 && !this.isSwallowed()) this.countFirstTry(endpoint, outcome, nowMs);
    this.lastEndpoint = endpoint;
    this.lastOutcome = outcome;
    const { breaker, ejection: spec } = this.route.config;
    if (breaker != null && outcome === ABORTED) this.route.state.breaker.releaseProbe();
    else if (breaker != null) this.route.state.breaker.note(isFailure(outcome), breaker, nowMs);
    if (spec === null || outcome === ABORTED) return;
    if (!isFailure(outcome)) {
      endpoint.outlier.consecutiveFailures = 0;
      return;
    }
    const count = this.arm.endpoints.length;
    noteOutcome(endpoint.outlier, true, spec, {
      count,
      othersOut: this.arm.countOut(nowMs),
      nowMs,
      random: randomShare(),
    });
  }

  /** The try never reached its instance, because of an injected fault. */
  private isSwallowed(): boolean {
    return this.fault !== null && !this.dispatched;
  }

  /** What the judge reads: the injected delay is not the version's. */
  private countFirstTry(endpoint: Endpoint, outcome: Outcome, nowMs: number): void {
    this.statsOf(endpoint).firstTry.add(outcome, nowMs - this.startedMs - this.delayedMs);
  }

  private statsOf(endpoint: Endpoint) {
    return this.byHeader ? endpoint.headerStats : endpoint.weightStats;
  }

  private mayRetry(nowMs: number, unsent: boolean): boolean {
    const spec = this.route.config.retries;
    if (spec === null || this.tries >= spec.maxTries || nowMs >= this.routeEndsMs) return false;
    if (this.responseStarted || this.interim > 0 || !this.requestBody.done) return false;
    if (unsent ? this.outLength === 0 : !this.idempotent || !this.replayable) return false;
    return this.route.state.budget.allows(spec.budgetShare);
  }

  /** Full jitter in [0, (2^n - 1)·25 ms), at most 250 ms (Envoy's `retry_back_off`). */
  private retryLater(nowMs: number, atLeastMs: number): void {
    const ceilingMs = Math.min(10 * BACKOFF_BASE_MS, (2 ** this.tries - 1) * BACKOFF_BASE_MS);
    const waitMs = atLeastMs + randomShare() * ceilingMs;
    if (nowMs + waitMs >= this.routeEndsMs) {
      this.outOfTime(nowMs);
      return;
    }
    if (this.lastEndpoint !== null) this.tried = [...this.tried, this.lastEndpoint];
    this.sending = false;
    this.freshTried = false;
    this.retrying = true;
    this.route.state.budget.activeRetries++;
    this.client.clearDeadline();
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null;
      this.startTry(performance.now());
    }, waitMs);
  }

  private outOfTime(nowMs: number): void {
    const timedOut = this.lastOutcome === TIMEOUT;
    const status = timedOut ? 504 : 502;
    const cause = timedOut ? 'upstream-timeout' : 'upstream-reset';
    const close = this.mustClose();
    this.finish(this.lastOutcome, F.retryLimit, nowMs, status);
    this.client.answerOwn({ status, cause, detail: 'no time is left for another try', headOnly: this.headOnly, close });
  }

  private noteExposure(): void {
    const exposure = this.route.state.exposure;
    if (exposure === null || !this.isExposed()) return;
    const wallMs = Date.now();
    exposure.requests++;
    exposure.firstRequestAtMs ??= wallMs;
    exposure.lastRequestAtMs = wallMs;
  }

  /** Whether this request counts for the release whose exposure is kept now. */
  private isExposed(): boolean {
    return this.arm === this.route.canary && this.route.state.exposure?.release === this.route.config.canary?.release;
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status < 200) return this.onInterim(upstream, head, buf, end);
    this.status = head.status;
    if (head.status >= 502 && head.status <= 504 && this.retriesStatus(upstream, head, buf)) return end;
    this.upstreamReusable = !head.close && (head.minor === 1 || head.keepAlive);
    const kind = this.responseKind(head);
    this.responseBody.begin(kind, head.contentLength);
    this.setFraming(head, kind);
    this.responseStarted = true;
    this.outcomeStatus = head.status;
    if (this.grpc && head.status === 200 && this.responseBody.done)
      this.outcomeStatus = outcomeOfStatus(statusInHead(head, buf));
    const to = scratch();
    const headEnd = writeResponseHead(head, buf, to, 0, this.framing);
    const next = this.relayFirst(upstream, buf, head.end, end, headEnd);
    this.afterResponseBytes(upstream, next === end);
    return next;
  }

  private responseKind(head: Head): number {
    if (this.headOnly || head.status === 204 || head.status === 304) return NO_BODY;
    if (head.chunked) return BY_CHUNKS;
    if (head.contentLength >= 0) return BY_LENGTH;
    return BY_CLOSE;
  }

  private setFraming(head: Head, kind: number): void {
    const framing = this.framing;
    const chunkable = kind === BY_CHUNKS || kind === BY_CLOSE;
    framing.chunked = chunkable && this.minor === 1;
    framing.dropLength = chunkable || head.status === 204;
    // An answer before the whole request: both connections close (RFC 9112 section 9.3.2, 9.6).
    framing.close = this.mustClose() || (chunkable && this.minor === 0) || !this.requestBody.done;
    framing.sayKeepAlive = this.minor === 0 && !framing.close;
    framing.webSocket = false;
    const limitFields = this.route.state.bucket === null ? null : rateLimitFields(this.route.state.bucket);
    framing.extra = this.setCookie === null ? limitFields : Buffer.concat([this.setCookie, limitFields ?? NO_BYTES]);
  }

  private mustClose(): boolean {
    return this.wantsClose || this.client.listener.draining || !this.requestBody.done;
  }

  /** The head, with the body octets that came with it, in one write. */
  private relayFirst(upstream: Upstream, buf: Buffer, start: number, end: number, headEnd: number): number {
    const body = this.responseBody;
    const to = scratch();
    let next = start;
    let from = 0;
    let until = headEnd;
    if (this.framing.chunked || body.kind === BY_CHUNKS) {
      next = this.relayAsChunks(upstream, buf, start, end, headEnd);
      if (next < 0) return end;
      from = relayed.start;
      until = relayed.end;
    } else if (!body.done) {
      const take = body.kind === BY_CLOSE ? end : Math.min(end, start + body.remaining);
      to.set(buf.subarray(start, take), headEnd);
      until = headEnd + take - start;
      next = body.feed(buf, start, take, NOTHING);
    }
    if (!this.sendAnswer(from, until)) upstream.channel.pause();
    return next;
  }

  /** Sends octets of the scratch buffer, at the pace of a fault if there is one. False: the upstream must wait. */
  private sendAnswer(start: number, end: number): boolean {
    if (this.throttle !== null) return this.throttle.push(scratch(), start, end);
    return this.client.channel.writeScratch(start, end);
  }

  /** Returns the index after what was used, or -1 when the upstream's chunks are malformed. */
  private relayAsChunks(upstream: Upstream, buf: Buffer, start: number, end: number, headEnd: number): number {
    relayChunks(this.responseBody, buf, start, end, headEnd, !this.framing.chunked);
    if (!this.responseBody.failed) return relayed.consumed;
    this.onUpstreamFault(upstream, 'malformed chunked body');
    return -1;
  }

  onResponseBody(upstream: Upstream, buf: Buffer, start: number, end: number): number {
    if (this.tunnelling) return this.client.tunnelToClient(upstream, buf, start, end);
    const body = this.responseBody;
    let next: number;
    if (this.framing.chunked || body.kind === BY_CHUNKS) {
      next = this.relayAsChunks(upstream, buf, start, end, 0);
      if (next < 0) return end;
      if (relayed.end > relayed.start && !this.sendAnswer(relayed.start, relayed.end)) upstream.channel.pause();
    } else {
      next = body.feed(buf, start, end, this.toClient);
    }
    this.afterResponseBytes(upstream, next === end);
    return next;
  }

  private readonly toClient: BodySink = {
    bodyData: (buf, start, end) => {
      const upstream = this.upstream as Upstream;
      if (this.throttle !== null) {
        if (!this.throttle.push(buf, start, end)) upstream.channel.pause();
        return;
      }
      if (!this.client.channel.forwardFrom(upstream.channel, buf, start, end)) upstream.channel.pause();
    },
  };

  /** `usedUp`: no octets are left over; otherwise the connection must not carry another request. */
  private afterResponseBytes(upstream: Upstream, usedUp: boolean): void {
    if (!this.active || this.upstream !== upstream) return;
    if (this.responseBody.done) {
      this.responseComplete(upstream, usedUp);
      return;
    }
    if (this.responseBody.seen + this.responseBody.remaining > BULK_BYTES) upstream.channel.beginBulk();
    // From here the request's budget is spent: what counts is that octets keep moving.
    this.client.setDeadline(performance.now() + Math.max(limits.answerIdleMs, this.route.config.timeoutMs));
  }

  private responseComplete(upstream: Upstream, usedUp: boolean): void {
    this.upstream = null;
    upstream.channel.endBulk(this.client.channel);
    this.outFree = upstream.channel.flushed;
    if (usedUp && this.upstreamReusable && this.requestBody.done && this.outFree) upstream.release();
    else upstream.abandon();
    this.complete();
  }

  /** The whole answer is on its way to the client. */
  private complete(): void {
    if (this.throttle !== null) {
      this.client.clearDeadline();
      this.throttle.whenEmpty(() => this.completed());
      return;
    }
    this.completed();
  }

  private completed(): void {
    const close = this.framing.close;
    if (this.grpc && this.status === 200 && this.responseBody.kind === BY_CHUNKS) {
      this.outcomeStatus = outcomeOfStatus(statusInTrailers(this.responseBody.trailers));
    }
    this.finish(this.outcomeStatus, this.fault === null ? F.none : F.delayInjected);
    this.client.exchangeDone(close);
  }

  /** The upstream closed: the end of a body without a length, or a truncated one, which is never completed for the client. */
  private bodyEnded(cleanly: boolean): void {
    if (this.responseBody.kind !== BY_CLOSE || !cleanly) {
      this.finish(RESET, F.reset);
      this.client.destroy();
      return;
    }
    if (this.framing.chunked) {
      const to = scratch();
      to.set(LAST_CHUNK, 0);
      this.sendAnswer(0, LAST_CHUNK.length);
    }
    this.complete();
  }

  /** 1xx: passed on to clients that know them (RFC 9110 section 15.2). */
  private onInterim(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status === 101) return this.onSwitching(upstream, head, buf, end);
    if (++this.interim > limits.interimResponses) {
      this.onUpstreamFault(upstream, `more than ${limits.interimResponses} interim answers`);
      return end;
    }
    if (this.minor === 0) return head.end;
    Object.assign(this.framing, {
      dropLength: true,
      chunked: false,
      close: false,
      sayKeepAlive: false,
      webSocket: false,
      extra: null,
    });
    const until = writeResponseHead(head, buf, scratch(), 0, this.framing);
    this.client.channel.writeScratch(0, until);
    return head.end;
  }

  private onSwitching(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (!this.webSocket || head.upgradeAt < 0 || !head.upgradeOption) {
      this.onUpstreamFault(upstream, '101 without a request to switch');
      return end;
    }
    Object.assign(this.framing, {
      dropLength: true,
      chunked: false,
      close: false,
      sayKeepAlive: false,
      webSocket: true,
      extra: null,
    });
    const until = writeResponseHead(head, buf, scratch(), 0, this.framing);
    this.client.channel.writeScratch(0, until);
    this.tunnelling = this.responseStarted = true;
    this.status = 101;
    this.finishCounts(101, F.none, performance.now());
    this.client.beginTunnel(upstream);
    return this.client.tunnelToClient(upstream, buf, head.end, end);
  }

  /** 502, 503 and 504 are tried again when that is allowed; the answer is dropped. */
  private retriesStatus(upstream: Upstream, head: Head, buf: Buffer): boolean {
    const nowMs = performance.now();
    if (!this.mayRetry(nowMs, false)) return false;
    const waitMs = retryAfterMs(head, buf);
    if (nowMs + waitMs >= this.routeEndsMs) return false;
    this.upstream = null;
    upstream.abandon();
    this.endTry(head.status, nowMs);
    this.retryLater(nowMs, waitMs);
    return true;
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  /** The client closed its connection. */
  clientGone(): void {
    if (!this.active) return;
    this.dropUpstream();
    this.finish(ABORTED, F.clientLeft);
  }

  /** The octets written to a client have left: the upstream may go on. */
  onClientDrain(): void {
    this.upstream?.channel.resume();
  }

  private noUpstream(): void {
    this.route.state.own.noUpstream++;
    this.ownAnswer(503, 'no-upstream', `no instance of ${this.arm.version} is known`, F.noHealthyUpstream);
  }

  private overflow(): void {
    this.route.state.own.breaker++;
    this.ownAnswer(503, 'breaker', `more than ${limits.upstreamConnections} connections to the instance`, F.overflow);
  }

  private ownAnswer(status: number, cause: Cause, detail: string, flag: number): void {
    this.noteOwn(status, flag);
    const close = this.mustClose();
    this.route.state.breaker.releaseProbe();
    this.settle();
    this.client.answerOwn({ status, cause, detail, headOnly: this.headOnly, close });
  }

  private noteOwn(status: number, flag: number): void {
    const key = `${status} ${flag}`;
    const codes = this.route.state.ownCodes;
    codes.set(key, (codes.get(key) ?? 0) + 1);
    this.logAccess(null, status, flag, performance.now());
  }

  private limited(head: Head): number {
    const state = this.route.state;
    state.own.limiter++;
    this.noteOwn(429, F.rateLimited);
    this.active = false;
    const hasBody = head.chunked || head.contentLength > 0;
    const answer = limitAnswer(
      state.bucket!,
      this.headOnly,
      this.wantsClose || hasBody || this.client.listener.draining,
    );
    this.client.answerOwn(answer);
    return head.end;
  }

  /** Refuses early, before anything is spent on the request. */
  private shed(head: Head, detail: string, retryAfterS: number): number {
    this.route.state.own.breaker++;
    this.noteOwn(503, F.overflow);
    this.active = false;
    const hasBody = head.chunked || head.contentLength > 0;
    const close = this.wantsClose || hasBody || this.client.listener.draining;
    const extra = `Retry-After: ${retryAfterS}\r\n`;
    this.client.answerOwn({ status: 503, cause: 'breaker', detail, headOnly: this.headOnly, close, extra });
    return head.end;
  }

  private refuse(head: Head, status: number, detail: string): number {
    this.active = false;
    this.route.state.own.badRequest++;
    this.noteOwn(status, F.clientProtocol);
    this.client.answerAndClose(status, 'bad-request', detail, false);
    return head.end;
  }

  private dropUpstream(): void {
    const upstream = this.upstream;
    this.upstream = null;
    upstream?.abandon();
  }

  private finish(outcome: Outcome, flag: number, nowMs = performance.now(), status = outcome > 0 ? outcome : 0): void {
    if (!this.tunnelling) this.finishCounts(outcome, flag, nowMs, status);
    this.settle();
  }

  private finishCounts(outcome: Outcome, flag: number, nowMs: number, status = outcome > 0 ? outcome : 0): void {
    this.endTry(outcome, nowMs);
    const endpoint = this.lastEndpoint;
    if (endpoint === null) return;
    this.statsOf(endpoint).finish(outcome, status, flag, nowMs - this.startedMs);
    this.logAccess(endpoint, status, flag, nowMs);
    const exposure = this.route.state.exposure;
    if (exposure !== null && this.isExposed() && isFailure(outcome)) {
      exposure.failures++;
      exposure.firstFailureAtMs ??= Date.now();
    }
  }

  private logAccess(endpoint: Endpoint | null, status: number, flag: number, nowMs: number): void {
    const share = this.route.config.accessLogShare ?? 0;
    if (share === 0 || randomShare() >= share) return;
    writeAccessLine({
      service: this.route.config.service,
      version: endpoint?.version ?? null,
      instance: endpoint?.id ?? null,
      cohort: this.byHeader ? 'header' : 'weight',
      head: this.outLength > 0 ? this.out.subarray(0, this.headLength) : null,
      status,
      flag,
      durationMs: nowMs - this.startedMs,
      tries: this.tries,
    });
  }

  /** Gives back what the exchange held. */
  private settle(): void {
    if (!this.active) return;
    this.active = false;
    if (this.retryTimer !== null) clearTimeout(this.retryTimer);
    this.retryTimer = null;
    this.throttle?.stop();
    this.throttle = null;
    this.route.state.budget.activeRequests--;
    if (this.endpoint !== null) this.endpoint.inFlight--;
    this.setPending(false);
    if (this.retrying) this.route.state.budget.activeRetries--;
    this.retrying = false;
    this.endpoint = this.lastEndpoint = null;
    this.tried = NO_ENDPOINTS;
    this.recycleOut();
  }

  /** The buffer may still be on its way to an upstream that was abandoned: then the collector has it. */
  private recycleOut(): void {
    if (this.outFree && this.out.length === SMALL && spareOut.length < 1024) spareOut.push(this.out);
    this.out = NO_BYTES;
  }
}

const NO_BYTES = Buffer.alloc(0);
const LAST_CHUNK = Buffer.from('0\r\n\r\n', 'latin1');
const NOTHING: BodySink = { bodyData: () => {} };

/** Retry-After in whole seconds, as ms, at most 300 s; 0 for a date or nothing. */
function retryAfterMs(head: Head, buf: Buffer): number {
  if (head.retryAfterAt < 0) return 0;
  const text = buf.toString('latin1', head.valueStart[head.retryAfterAt], head.valueEnd[head.retryAfterAt]);
  return /^\d{1,6}$/.test(text) ? Math.min(300, Number(text)) * 1000 : 0;
}

function describe(cause: Cause): string {
  if (cause === 'upstream-timeout') return 'the instance did not answer in time';
  if (cause === 'connect-failure') return 'the instance could not be reached';
  return 'the instance closed the connection before its answer was complete';
}
