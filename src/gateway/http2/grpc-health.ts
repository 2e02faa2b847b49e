import http2 from 'node:http2';

/** HealthCheckResponse.ServingStatus.SERVING, as the message's only field: number 1, varint 1. */
const SERVING = Buffer.from([0x08, 0x01]);
const MAX_ANSWER_BYTES = 1024;

/** One gRPC message: not compressed, its length in four octets. */
function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** HealthCheckRequest: the service name as field 1, a string (of fewer than 128 octets). */
function requestFor(service: string): Buffer {
  const name = Buffer.from(service.slice(0, 127), 'latin1');
  return name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
}

/** Asks `grpc.health.v1.Health/Check`; true only for SERVING. Rejects when there is no answer. */
export function askGrpc(where: { host: string; port: number }, service: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(`http://${where.host.includes(':') ? `[${where.host}]` : where.host}:${where.port}`);
    const end = (act: () => void): void => {
      clearTimeout(limit);
      session.destroy();
      act();
    };
    const limit = setTimeout(() => end(() => reject(new Error('timeout'))), timeoutMs);
    session.on('error', (error) => end(() => reject(error)));
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let answer = Buffer.alloc(0);
    stream.on('data', (piece: Buffer) => {
      if (answer.length < MAX_ANSWER_BYTES) answer = Buffer.concat([answer, piece]);
    });
    stream.on('error', (error) => end(() => reject(error)));
    stream.on('end', () => end(() => resolve(answer.equals(framed(SERVING)))));
    stream.end(framed(requestFor(service)));
  });
}
