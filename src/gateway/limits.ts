/** Every bound of the gateway in one place. A limit that is reached is named in the answer or in the counters. */
export const limits = {
  /** Start line and header section of one message, bytes (431 beyond; 414 when the target alone is too long). */
  headBytes: 32 * 1024,
  targetBytes: 8 * 1024,
  headerCount: 100,
  methodBytes: 24,
  /** One chunk-size line with its extensions, bytes (RFC 9112 section 7.1.1 asks for a limit). */
  chunkLineBytes: 1024,
  trailerBytes: 8 * 1024,
  /** Interim (1xx) answers to one request. */
  interimResponses: 10,
  /** Requests of one connection that the gateway answers itself in one turn of the event loop, before others have theirs. */
  requestsPerTurn: 32,
  /** Bytes of further requests kept while one is being answered; reading pauses beyond. */
  pipelinedBytes: 64 * 1024,
  /** Bytes of a request body kept so that a try can be repeated or the connection awaited. */
  replayBytes: 64 * 1024,
  /** A client's whole head must arrive within this time. */
  headTimeoutMs: 10_000,
  /** An idle keep-alive client connection is closed after this time. */
  clientIdleMs: 60_000,
  /** Longest pause between two pieces of a request body before its answer has begun. */
  bodyIdleMs: 30_000,
  /** Longest pause once an answer has begun: streams of events are idle at times (Envoy: `stream_idle_timeout`). */
  answerIdleMs: 300_000,
  /** A request without any answer counts as not served after half of the route's time, and never sooner than after this long. */
  patienceMs: 1_000,
  /** A stream that has been open for this long counts as answered; one that ends before counts by its end. */
  streamMs: 1_000,
  /**
   * Lingering close (RFC 9112 section 9.6): unread input is discarded until none came for this long, and for `lingerMaxMs` at most, before the
   * socket is destroyed. A client that is still sending would otherwise lose the answer.
   */
  lingerMs: 1_000,
  lingerMaxMs: 30_000,
  /** An idle upstream connection is closed after this time, unless its `Keep-Alive: timeout` says sooner. */
  upstreamIdleMs: 4_000,
  /**
   * No request is sent on an upstream connection that is older: what a name or a load balancer leads to may have changed, and a connection
   * that never pauses would never learn it.
   */
  upstreamAgeMs: 60_000,
  connectTimeoutMs: 2_000,
  /** How long the other direction of a tunnel may be silent once one side has ended its own. */
  tunnelHalfClosedMs: 60_000,
  clientConnections: 20_000,
  /** Descriptors that the data path leaves to the admin address, health checks, files and a successor. */
  reservedDescriptors: 32,
  upstreamConnections: 1_024,
  idleUpstreams: 256,
  /** What is open on a version that gets no more traffic ends within this time, where the route says no other. */
  departureMs: 30_000,
  /** A process that leaves while another one takes over answers what is in progress within this time. */
  drainMs: 30_000,
  /** The same where nobody takes over; `davy up` kills what is left a moment later. */
  stopMs: 9_000,
  /** So long before the end of either, what is not finished is told so in the words that its protocol has: a Close frame, a status. */
  farewellMs: 500,
  /** An idle client connection of a process that leaves stays open this long for a request that is under way. */
  drainIdleMs: 1_000,
  /** A successor must be started, and then have taken over, within this time each. */
  successionMs: 15_000,
  /** Each thing that is tried of Node.js at the start must end within this time. */
  runtimeCheckMs: 10_000,
  /** Bounds of one routing table. */
  services: 256,
  versionsPerService: 32,
  instancesPerVersion: 256,
  edges: 64,
  /** Callers of one service that are counted by their names; the others count as one, `unknown`. */
  callersPerService: 64,
  tableBytes: 8 * 1024 * 1024,
} as const;
