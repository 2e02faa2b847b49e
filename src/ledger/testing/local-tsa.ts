import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CONFIG = `
[tsa]
default_tsa = local
[local]
serial = ./serial
signer_digest = sha256
default_policy = 1.2.3.4.1
other_policies = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = yes
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`;

export interface LocalTsa {
  url: string;
  caPem: string;
  close(): Promise<void>;
}

/** A time-stamping authority of openssl's own making on the loopback interface, for tests. */
export async function startLocalTsa(listenOn = 0): Promise<LocalTsa> {
  const dir = mkdtempSync(join(tmpdir(), 'davy-tsa-'));
  const run = (...args: string[]): Buffer =>
    execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  writeFileSync(join(dir, 'tsa.cnf'), CONFIG);
  writeFileSync(join(dir, 'serial'), '01\n');
  const subject = ['-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=local test TSA', '-days', '1'];
  const usage = ['-addext', 'extendedKeyUsage=critical,timeStamping', '-addext', 'keyUsage=critical,digitalSignature'];
  run('req', '-x509', ...subject, ...usage, '-keyout', 'tsa.key', '-out', 'tsa.pem');
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    writeFileSync(join(dir, 'query.tsq'), Buffer.concat(parts));
    const files = ['-queryfile', 'query.tsq', '-signer', 'tsa.pem', '-inkey', 'tsa.key', '-out', 'reply.tsr'];
    run('ts', '-reply', '-config', 'tsa.cnf', '-section', 'local', ...files);
    response
      .writeHead(200, { 'content-type': 'application/timestamp-reply' })
      .end(readFileSync(join(dir, 'reply.tsr')));
  });
  await new Promise<void>((resolve) => server.listen(listenOn, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}/`,
    caPem: readFileSync(join(dir, 'tsa.pem'), 'utf8'),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(dir, { recursive: true, force: true });
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
