/**
 * One request and its answer: choose an arm and an instance, send, try again, relay. One exchange object serves a client
 * connection for its life; requests of one connection come one after the other (RFC 9112 section 9.3.2).
 */
import { type BodyReader, BY_LENGTH } from '../http1/body.ts';
import { asksForWebSocket, type Head } from '../http1/head.ts';
import { isEventStream, isGrpc } from '../http1/media-type.ts';
import { isSafeMethod, M } from '../http1/names.ts';
import { callUnavailable } from '../http2/grpc.ts';
import { limits } from '../limits.ts';
import { stamp } from '../net/now.ts';
import { randomShare } from '../random.ts';
import type { Endpoint } from '../route/endpoint.ts';
import type { Route } from '../route/route.ts';
import { F } from '../stats/flags.ts';
import { ABORTED, type Outcome, TIMEOUT } from '../stats/outcome.ts';
import { Account } from './account.ts';
import { countRefusal, type Refusal, refusalOf } from './admission.ts';
import { AnswerRelay } from './answer-relay.ts';
import { Claim, type Refused } from './claim.ts';
import type { ClientConnection } from './client.ts';
import { admission, answerContext, forwardContext } from './contexts.ts';
import { connectFailure, type Failure, failures, type OwnReply, replies } from './failure.ts';
import { Injection, strike } from './injection.ts';
import { mayCopy } from './mirror.ts';
import { answerFields } from './rate-limit.ts';
import { RequestTime } from './request-time.ts';
import { backOffMs, isRetriableStatus, retryAfterMs } from './retry.ts';
import { BULK_BYTES, Upload } from './upload.ts';
import { Upstream, type UpstreamUser } from './upstream.ts';

export class Exchange implements UpstreamUser {
  active = false;
  tunnelling = false;
  private readonly client: ClientConnection;
  private readonly account = new Account(this);
  private readonly upload: Upload;
  private readonly answer: AnswerRelay;
  private upstream: Upstream | null = null;
  private readonly time = new RequestTime();
  private readonly claim = new Claim();
  /** Counts the requests: a callback for an earlier one is recognised. */
  private serial = 0;
  private readonly injection = new Injection((heldMs) => this.heldBack(heldMs));
  /** The wait before a retry. */
  private timer: NodeJS.Timeout | null = null;

  /** Of the request. */
  private minor = 1;
  private headOnly = false;
  private wantsClose = false;
  private idempotent = false;
  private webSocket = false;
  private setCookie: Buffer | null = null;

  /** Of the present try: the free repetition was used. */
  private freshTried = false;

  /** Of the answer. */
  private started = false;
  private interim = 0;
  private status = 0;
  private upstreamReusable = true;
  private sentWhole = false;

  constructor(client: ClientConnection) {
    this.client = client;
    this.upload = new Upload(client.channel);
    this.answer = new AnswerRelay(client.channel);
  }

  get requestBody(): BodyReader {
    return this.upload.body;
  }

  private get route(): Route {
    return this.account.route;
  }

  private get grpc(): boolean {
    return this.account.call.isCall;
  }

  // ---- the request -------------------------------------------------------------------------------------------------

  /** Takes a request whose head was just parsed. Returns the index after the octets used, body included. */
  begin(head: Head, buf: Buffer, end: number): number {
    const nowMs = stamp();
    const route = this.client.listener.route;
    this.account.open(route, this.client.caller.of(head, buf, route.state.callers), nowMs);
    this.reset(head, route, nowMs);
    this.account.call.open(isGrpc(head, buf), this.client.isStream);
    admission.grpc = this.grpc;
    admission.close = this.wantsClose || head.chunked || head.contentLength > 0 || this.client.listener.draining;
    const refusal = refusalOf(head, buf, route, nowMs, admission);
    if (refusal !== null) return this.refuse(head, refusal);
    const { arm, cohort, setCookie } = route.choose(head, buf, nowMs);
    this.setCookie = setCookie;
    this.account.admit(arm, cohort === 'header');
    if (this.grpc) this.time.beginCall(head, buf, nowMs);
    // An instance that speaks HTTP/2 only cannot switch protocols (RFC 9113 section 8.6).
    this.webSocket = route.config.webSocket !== false && !route.overHttp2 && asksForWebSocket(head, buf);
    this.client.tell(forwardContext);
    forwardContext.webSocket = this.webSocket;
    forwardContext.byLength = head.chunked && head.contentLength >= 0 && !route.overHttp2;
    this.upload.open(head, buf, forwardContext);
    if (route.mirror !== null && !this.webSocket && mayCopy(head))
      route.mirror.offer(this.upload.out.octets(), this.headOnly, nowMs);
    this.upload.beginBody(head);
    const next = this.requestBody.done ? head.end : this.feedRequest(buf, head.end, end);
    if (this.active) this.startTry(nowMs);
    return next;
  }

  private reset(head: Head, route: Route, nowMs: number): void {
    this.active = true;
    this.serial++;
    this.minor = head.minor;
    this.headOnly = head.method === M.head;
    this.wantsClose = head.close || (head.minor === 0 && !head.keepAlive);
    this.idempotent = isSafeMethod(head.method) || head.idempotencyKey;
    this.time.open(route, nowMs, this.idempotent);
    this.claim.sharesConnection = route.overHttp2;
    this.upstream = this.setCookie = null;
    this.injection.rule = null;
    this.interim = this.status = 0;
    this.freshTried = this.started = this.tunnelling = this.sentWhole = false;
    this.upstreamReusable = true;
  }

  private refuse(head: Head, refusal: Refusal): number {
    countRefusal(this.route, refusal);
    this.account.noteOwn(refusal.answer, refusal.flag, stamp(), null);
    this.settle();
    this.client.answerOwn({ ...refusal.answer, grpc: this.grpc });
    return head.end;
  }

  /** Body octets from the client. Returns the index after those used. */
  feedRequest(buf: Buffer, start: number, end: number): number {
    const next = this.upload.feed(buf, start, end);
    const body = this.requestBody;
    if (body.failed) return this.badBody(end);
    if (body.done) this.requestComplete();
    else if (this.upstream !== null)
      this.client.setDeadline(this.time.ofPiece(stamp(), this.started, this.client.channel.paused));
    return next;
  }

  private requestComplete(): void {
    this.client.channel.endBulk(this.upstream?.channel ?? null);
    // The version's time runs from here: a slow upload is the client's.
    const nowMs = stamp();
    this.account.requestComplete(nowMs);
    this.time.requestComplete(nowMs);
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
    const { account, claim } = this;
    const { state } = this.route;
    this.injection.reset();
    this.answer.throttle = null;
    this.upload.rewind();
    this.freshTried = false;
    const endpoint = account.arm.pick(nowMs, account.tried);
    if (endpoint === null) {
      this.refuseTry({ ...replies.noUpstream, detail: `no instance of ${account.arm.version} is known` });
      return;
    }
    if (!this.mayReuse(endpoint, nowMs)) {
      const request = this.serial;
      const obtained = claim.obtain(endpoint, state, nowMs, () => {
        if (this.active && this.serial === request) this.startTry(stamp());
      });
      if (obtained === null) this.client.clearDeadline();
      if (obtained === false) this.refuseTry(claim.refusal);
      if (obtained !== true) return;
    }
    account.beginTry(endpoint);
    if (!this.injected(endpoint, nowMs)) this.connect(endpoint, nowMs, true);
  }

  private refuseTry(refused: Refused): void {
    this.route.state.own[refused.own]++;
    this.answerAlone(refused, refused.detail);
  }

  private mayReuse(endpoint: Endpoint, nowMs: number): boolean {
    return endpoint.idle.length > 0 && (this.idempotent || !endpoint.doubtsKept(nowMs));
  }

  private connect(endpoint: Endpoint, nowMs: number, mayReuse: boolean): void {
    this.account.dispatch(this.requestBody.done);
    const { claim } = this;
    const reuse = mayReuse && this.mayReuse(endpoint, nowMs);
    // One that takes the place of another, or was expected to be had from the pool, is not refused any more.
    if (!reuse && !claim.isHeld) claim.take(endpoint, this.route.state, nowMs);
    const { wheel } = this.client.listener.context;
    const upstream = Upstream.to(endpoint, wheel, this, this.route.overHttp2, reuse, claim);
    this.upstream = upstream;
    this.setTryDeadline(nowMs);
    if (!upstream.connected) return;
    claim.release();
    if (this.idempotent) this.send(upstream);
    // What must not be sent twice is not sent before the event loop has read what has come: its server may have closed the connection.
    else setImmediate(this.sendUnlessGone, upstream);
  }

  private readonly sendUnlessGone = (upstream: Upstream): void => this.onUpstreamConnected(upstream);

  private setTryDeadline(nowMs: number): void {
    this.client.setDeadline(this.time.ofTry(nowMs, this.requestBody.done));
  }

  onUpstreamConnected(upstream: Upstream): void {
    if (upstream === this.upstream) this.send(upstream);
  }

  private send(upstream: Upstream): void {
    this.claim.connected();
    // Over HTTP/2 an instance says whether it has worked on a request: what it has not is sent again.
    this.upload.sendTo(upstream.channel, this.idempotent || this.route.overHttp2);
  }

  onUpstreamDrain(): void {
    this.client.channel.resume();
  }

  /** The try's or the request's time is over, or the client stopped sending or reading, or (it is held back) the instance stopped taking. */
  onDeadline(nowMs: number): void {
    if (this.started) {
      this.answerStalled(nowMs);
    } else if (this.requestBody.done || this.grpc) {
      this.tryFailed(this.time.lateness(nowMs));
    } else if (this.upload.isSending && this.client.channel.paused) {
      this.tryFailed(failures.tryTimeout);
    } else {
      this.dropUpstream();
      this.route.state.own.badRequest++;
      this.answerAlone(replies.slowUpload, 'the request body stopped coming');
    }
  }

  /**
   * In the middle of an answer: the call's deadline passed, the client stopped reading, or the upstream stopped sending. An answer that has told its
   * length is late; one that has not may be silent for as long as it likes, and it is the gateway that keeps no silent stream.
   */
  private answerStalled(nowMs: number): void {
    if (this.time.isCallOver(nowMs)) this.breakOff(failures.deadline);
    else if (!this.client.channel.flushed) this.breakOff(failures.clientSlow);
    // A fault holds it back.
    else if (this.answer.throttle?.isHolding === true) this.client.setDeadline(this.time.ofAnswer(nowMs));
    else if (this.answer.body.kind === BY_LENGTH) this.breakOff(failures.tryTimeout);
    else this.breakOff(failures.silence);
  }

  onUpstreamFault(_upstream: Upstream, detail: string, beyondLimit: boolean): void {
    const failure = beyondLimit ? failures.answerLimit : failures.malformed;
    if (this.started) this.breakOff(failure);
    else this.tryFailed(failure, detail);
  }

  /** An answer that cannot be completed: the client was `told`, or must see that it is not whole. What no version is charged with keeps its status. */
  private breakOff(failure: Failure, told = false): void {
    this.dropUpstream();
    if (failure.own !== null) this.account.call.reply(failure);
    this.finish(failure.outcome, failure.flag, stamp(), failure.own === null ? 0 : this.status);
    if (told) this.client.exchangeDone(true);
    else this.client.destroy();
  }

  onUpstreamEnd(): boolean {
    if (this.tunnelling) this.client.tunnelTargetEnded();
    return this.tunnelling;
  }

  onUpstreamGone(upstream: Upstream, answered: boolean, cleanly: boolean): void {
    if (upstream !== this.upstream) return;
    this.takeUpstream();
    if (this.tunnelling) this.account.leave();
    if (this.tunnelling) this.client.endTunnel();
    else if (this.started) this.endedByClose(cleanly);
    else if (upstream.hasLeft || upstream.hasRefused) this.notProcessed(upstream);
    else if (upstream.isKept && !answered) this.keptConnectionGone(upstream);
    else if (!upstream.connected || !this.upload.isSending) this.tryFailed(connectFailure(upstream.errorCode));
    else this.tryFailed(failures.reset);
  }

  /**
   * An idle connection that the server closed as we used it is nobody's fault: once more, on a new connection to the same instance, when nothing was
   * sent or what was sent may be repeated (RFC 9110 section 9.2.2; `replayable` is false once anything else was sent). Otherwise nobody can
   * tell whether the instance has read it. That may happen once in a while; an instance that closes on what it is sent does it again, and on a new
   * connection, where there is no doubt.
   */
  private keptConnectionGone({ endpoint }: Upstream): void {
    if (!this.freshTried && this.upload.replayable && (this.idempotent || !this.upload.isSending)) {
      this.repeatFresh(endpoint);
    } else if (this.route.overHttp2) {
      // A connection that many requests share closes on what is sent far less often than in the middle of it.
      this.tryFailed(failures.reset);
    } else {
      endpoint.doubtKept(stamp());
      this.tryFailed(failures.connectionClosed);
    }
  }

  /** One who leaves is nobody's fault: once more, over the next connection. Who refuses takes a try, which may go to any instance. */
  private notProcessed({ hasLeft, endpoint }: Upstream): void {
    if (hasLeft && !this.freshTried && this.upload.replayable) this.repeatFresh(endpoint);
    else this.tryFailed(this.upload.replayable ? failures.notProcessed : failures.reset);
  }

  private repeatFresh(endpoint: Endpoint): void {
    this.freshTried = true;
    this.upload.rewind();
    this.connect(endpoint, stamp(), false);
  }

  private tryFailed(failure: Failure, detail = failure.detail): void {
    const nowMs = stamp();
    const swallowed = this.injection.isCauseOf(failure, this.account.dispatched);
    this.dropUpstream();
    this.account.endTry(swallowed ? ABORTED : failure.outcome, nowMs);
    if (failure.retry !== 'never' && this.mayRetry(nowMs, failure.retry === 'unsent')) {
      this.retryLater(nowMs, 0);
    } else if (swallowed) {
      this.answerInjected(504, F.delayInjected);
    } else if (failure.own === null) {
      this.answerFailure(failure.outcome, failure, detail, nowMs);
    } else {
      this.refuseTry({ ...failure, own: failure.own, detail });
    }
  }

  /** The last try failed: the client gets an answer of ours, the version is charged. */
  private answerFailure(outcome: Outcome, { status, flag, cause }: OwnReply, detail: string, nowMs: number): void {
    const close = this.mustClose();
    this.account.call.reply({ status, cause });
    this.finish(outcome, flag, nowMs, status);
    this.client.answerOwn({ status, cause, detail, headOnly: this.headOnly, close, grpc: this.grpc });
  }

  /** `unsent`: not one octet reached an instance, so any request may go to another one. */
  private mayRetry(nowMs: number, unsent: boolean): boolean {
    const spec = this.route.config.retries;
    if (spec === null || this.account.tries >= spec.maxTries || nowMs >= this.time.endsMs) return false;
    if (this.started || this.interim > 0) return false;
    if (!unsent && !(this.idempotent && this.upload.replayable && this.requestBody.done)) return false;
    return this.route.state.budget.allows(spec.budgetShare);
  }

  private retryLater(nowMs: number, atLeastMs: number): void {
    const { account } = this;
    const waitMs = atLeastMs + backOffMs(account.tries, randomShare());
    if (nowMs + waitMs >= this.time.endsMs) {
      const { status, cause } = account.lastOutcome === TIMEOUT ? failures.routeTimeout : failures.reset;
      this.answerFailure(account.lastOutcome, { status, cause, flag: F.retryLimit }, 'no time for another try', nowMs);
      return;
    }
    account.beginRetry();
    this.upload.rewind();
    this.client.clearDeadline();
    this.timer = setTimeout(() => this.startTry(stamp()), waitMs);
  }

  // ---- injected faults ---------------------------------------------------------------------------------------------

  /** Whether a fault in force takes this try over. */
  private injected(endpoint: Endpoint, nowMs: number): boolean {
    const { faults } = this.client.listener.context;
    const hit = strike(faults, this.route.config.service, endpoint, nowMs);
    if (hit === null) return false;
    const { action } = hit.rule;
    if (action.kind === 'bandwidth') {
      const onRoom = (): void => this.upstream?.channel.resume();
      this.answer.throttle = this.injection.slowDown(hit, this.client.channel, action.bytesPerSecond, onRoom);
      return false;
    }
    this.injection.rule = hit.rule;
    this.setTryDeadline(nowMs);
    if (action.kind === 'abort') this.abort(action.status, nowMs);
    else this.injection.holdBack(hit, action.kind === 'delay' ? action.delayMs : Number.POSITIVE_INFINITY, nowMs);
    return true;
  }

  private heldBack(heldMs: number): void {
    this.account.delayedMs += heldMs;
    this.connect(this.account.endpoint as Endpoint, stamp(), true);
  }

  private abort(status: number, nowMs: number): void {
    this.account.endTry(ABORTED, nowMs);
    if (isRetriableStatus(status) && this.mayRetry(nowMs, false)) this.retryLater(nowMs, 0);
    else this.answerInjected(status, F.faultInjected);
  }

  /** What a fault answered or swallowed is the gateway's own doing: no version is charged. */
  private answerInjected(status: number, flag: number): void {
    this.route.state.own.injected++;
    const extra = `x-fault-injected: ${this.injection.rule?.id ?? ''}\r\n`;
    this.answerAlone({ status, cause: 'injected', flag, extra }, 'a fault is being rehearsed on this route');
  }

  /** An answer of the gateway's own for which no version is charged. */
  private answerAlone({ status, flag, cause, extra = '' }: OwnReply, detail: string): void {
    this.account.noteOwn({ status, cause }, flag, stamp(), this.upload.out);
    const close = this.mustClose();
    this.route.state.breaker.releaseProbe();
    this.settle();
    this.client.answerOwn({ status, cause, detail, headOnly: this.headOnly, close, extra, grpc: this.grpc });
  }

  // ---- the answer --------------------------------------------------------------------------------------------------

  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status === 101) return this.onSwitching(upstream, head, buf, end);
    if (head.status < 200) return this.onInterim(upstream, head, buf, end);
    if (isRetriableStatus(head.status) && this.retriesStatus(head, buf)) return end;
    this.status = head.status;
    this.upstreamReusable = !head.close && (head.minor === 1 || head.keepAlive);
    this.started = true;
    answerContext.headOnly = this.headOnly;
    answerContext.minor = this.minor;
    answerContext.isStream = this.client.isStream;
    answerContext.needsTrailers = this.grpc;
    answerContext.close = this.mustClose();
    answerContext.extra = answerFields(this.setCookie, this.route.state.limits.limiter, stamp());
    const next = this.answer.begin(upstream, head, buf, end, answerContext);
    if (this.answer.body.done) this.account.noteAnswer();
    else this.account.noteHead(head.status, this.grpc || isEventStream(head, buf));
    this.account.call.noteHead(head, buf);
    return this.afterOctets(upstream, next, end);
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
      this.breakOff(this.answer.body.beyondLimit ? failures.answerLimit : failures.malformed);
      return end;
    }
    const { body } = this.answer;
    if (body.done) {
      this.answerComplete(upstream, next === end);
      return next;
    }
    if (body.seen + body.remaining > BULK_BYTES) upstream.channel.beginBulk();
    // From here the request's budget is spent: what counts is that octets keep moving.
    this.client.setDeadline(this.time.ofAnswer(stamp()));
    return next;
  }

  private answerComplete(upstream: Upstream, usedUp: boolean): void {
    const nowMs = stamp();
    this.takeUpstream();
    upstream.channel.endBulk(this.client.channel);
    this.sentWhole = upstream.channel.flushed;
    if (usedUp && this.upstreamReusable && this.requestBody.done && this.sentWhole) upstream.release();
    else upstream.abandon();
    this.complete(nowMs);
  }

  private endedByClose(cleanly: boolean): void {
    if (this.answer.endedByClose(cleanly)) this.complete(stamp());
    else this.breakOff(failures.reset);
  }

  /** The whole answer is on its way to the client. */
  private complete(nowMs: number): void {
    const throttled = this.answer.throttle !== null;
    if (throttled) this.client.setDeadline(this.time.ofAnswer(nowMs));
    this.answer.whenSent(() => {
      const { body, framing } = this.answer;
      const outcome = this.account.call.outcomeOf(this.status, body.trailers);
      const flag = this.injection.rule === null ? F.none : F.delayInjected;
      this.finish(outcome, flag, throttled ? stamp() : nowMs, this.status);
      this.client.exchangeDone(framing.close);
    });
  }

  /** 1xx: passed on to clients that know them (RFC 9110 section 15.2). */
  private onInterim(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (++this.interim > limits.interimResponses) {
      this.onUpstreamFault(upstream, `more than ${limits.interimResponses} interim answers`, true);
      return end;
    }
    if (this.minor === 1) this.answer.bodyless(head, buf, false);
    return head.end;
  }

  private onSwitching(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (!this.webSocket || head.upgradeAt < 0 || !head.upgradeOption) {
      this.onUpstreamFault(upstream, '101 without a request to switch', false);
      return end;
    }
    this.answer.bodyless(head, buf, true);
    this.account.beginTunnel(stamp(), this.upload.out);
    this.tunnelling = this.started = true;
    this.client.beginTunnel(upstream);
    return this.client.tunnelToClient(buf, head.end, end);
  }

  /** 502, 503 and 504 are tried again when that is allowed; the answer is dropped. `Retry-After` is the word of one instance, not of those that can be asked instead. */
  private retriesStatus(head: Head, buf: Buffer): boolean {
    const nowMs = stamp();
    const waitMs = this.account.hasSibling(nowMs) ? 0 : retryAfterMs(head, buf);
    if (!this.mayRetry(nowMs, false) || nowMs + waitMs >= this.time.endsMs) return false;
    this.dropUpstream();
    this.account.endTry(head.status, nowMs);
    this.retryLater(nowMs, waitMs);
    return true;
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  /** The version gets no more traffic, and the time to finish is over: the request ends now, and the client learns what it can. */
  withdraw(why: Failure = failures.withdrawn): void {
    if (this.tunnelling) this.account.leave();
    if (this.tunnelling) this.client.leaveTunnel();
    else if (!this.started) this.tryFailed(why);
    else this.breakOff(why, this.grpc && this.answer.endEarly(callUnavailable));
  }

  /** The client closed its connection. */
  clientGone(): void {
    if (!this.active) return;
    // A tunnel lets its target go by itself, after what is still on its way.
    if (this.tunnelling) this.takeUpstream();
    else this.dropUpstream();
    this.finish(ABORTED, F.clientLeft);
  }

  /** The octets written to a client have left: the upstream may go on. */
  onClientDrain(): void {
    this.upstream?.channel.resume();
  }

  /** The try is over, as far as its instance and a fault are concerned. */
  private dropUpstream(): void {
    this.injection.stop();
    this.claim.release();
    this.takeUpstream()?.abandon();
  }

  /** From here on the exchange has nothing to do with it. */
  private takeUpstream(): Upstream | null {
    const { upstream } = this;
    this.upstream = null;
    this.upload.leaveTarget();
    return upstream;
  }

  /** Books the final outcome, once; a tunnel's was booked when it began. */
  private finish(outcome: Outcome, flag: number, nowMs = stamp(), status = outcome > 0 ? this.status : 0): void {
    if (!this.tunnelling) {
      this.account.endTry(outcome, nowMs);
      this.account.finish(outcome, status, flag, nowMs, this.upload.out);
    }
    this.settle();
  }

  /** Gives back what the exchange held. */
  private settle(): void {
    if (!this.active) return;
    this.active = false;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.injection.stop();
    this.claim.release();
    this.answer.close();
    this.account.settle();
    this.upload.close(this.sentWhole);
  }
}
