/**
 * gRPC status as HTTP status, so that one set of counters, limits and alerts fits both (google.rpc.Code's own mapping,
 * https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto).
 */
const httpOf = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** The HTTP status that a call's `grpc-status` stands for; one without it, and one that the list does not have, has failed (500). */
export function httpStatusOfGrpc(text: string | undefined): number {
  return text !== undefined && /^\d{1,2}$/.test(text) ? (httpOf[Number(text)] ?? 500) : 500;
}
