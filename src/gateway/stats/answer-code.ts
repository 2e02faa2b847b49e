/**
 * What a client got, as one number to count by: the HTTP status, and beside it how a gRPC call ended. It crosses to a successor, which may be a
 * newer program: numbers below `STRIDE` are statuses of plain requests, and stay so.
 */
const STRIDE = 1024;

/** A gRPC call that ended before anybody had told a status. */
export const NO_GRPC_STATUS = -1;

/** `status`: 0 for no answer, else 100 to 599. `grpcStatus`: 0 to 16, or `NO_GRPC_STATUS`; null for what is no call. */
export function answerCode(status: number, grpcStatus: number | null): number {
  return grpcStatus === null ? status : status + STRIDE * (grpcStatus + 2);
}

export function isGrpcCode(code: number): boolean {
  return code >= STRIDE;
}

/** The two that `answerCode` was given. */
export function partsOf(code: number): { status: number; grpcStatus: number | null } {
  return { status: code % STRIDE, grpcStatus: isGrpcCode(code) ? Math.floor(code / STRIDE) - 2 : null };
}
