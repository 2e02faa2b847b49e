import { httpStatusOfGrpc } from '../../lib/grpc-status.ts';
import type { Head } from '../http1/head.ts';
import { grpcStatusOf, ownGrpcStatus, statusInHead, statusInTrailers, statusNumber } from '../http2/grpc.ts';
import { answerCode, NO_GRPC_STATUS } from '../stats/answer-code.ts';
import type { OwnAnswer } from './answer.ts';

/** What a request is as a gRPC call: nothing, or one that ends with a status of its own, wherever its answer has it. */
export class GrpcCall {
  isCall = false;
  /** The client speaks HTTP/2: answers of the gateway's own are gRPC's, too. */
  private overHttp2 = false;
  private inHead: string | undefined;
  /** How it ended, once somebody has said so; the HTTP status that came with the word, if it was the gateway's. */
  private grpcStatus: number | null = null;
  private ownStatus: number | null = null;

  open(isCall: boolean, overHttp2: boolean): void {
    this.isCall = isCall;
    this.overHttp2 = overHttp2;
    this.inHead = undefined;
    this.grpcStatus = this.ownStatus = null;
  }

  /** An answer without messages has its status in the head (PROTOCOL-HTTP2, "Trailers-Only"). */
  noteHead(head: Head, buf: Buffer): void {
    this.inHead = this.isCall ? statusInHead(head, buf) : undefined;
  }

  /**
   * What a whole answer counts as. HTTP status 200 says nothing of a call: its own status does, and a call that was told none has failed,
   * however its content was framed.
   */
  outcomeOf(status: number, trailers: number[]): number {
    if (!this.isCall) return status;
    const told = statusInTrailers(trailers) ?? this.inHead;
    this.grpcStatus = told === undefined ? grpcStatusOf(status) : statusNumber(told);
    return status >= 400 ? status : httpStatusOfGrpc(told);
  }

  /** The gateway answers itself. */
  reply(answer: Pick<OwnAnswer, 'status' | 'cause'>): void {
    if (!this.isCall) return;
    this.grpcStatus = ownGrpcStatus(answer);
    if (this.overHttp2) this.ownStatus = 200;
  }

  /** What the client got, for the counters; `status`: of HTTP, 0 for no answer. A call that broke off counts as what its client makes of it. */
  codeOf(status: number): number {
    if (!this.isCall) return status;
    if (status === 0) return answerCode(0, NO_GRPC_STATUS);
    return answerCode(this.ownStatus ?? status, this.grpcStatus ?? grpcStatusOf(status));
  }
}
