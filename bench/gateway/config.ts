import { join } from 'node:path';
import type { RoutingTable, ServiceRoute } from '../../src/traffic/model.ts';

/** Where everything listens during the bench: loopback only. */
export const ports = {
  backend: 19301,
  gateway: 19400,
  haproxy: 19410,
  haproxyFull: 19411,
  nginx: 19420,
  nginxFull: 19421,
  undici: 19430,
  agent: 19431,
  httpProxy: 19432,
  httpProxy3: 19433,
  fastProxy: 19434,
  gatewayTls: 19440,
  haproxyTls: 19441,
};

export const bodies = { tiny: 200, k1: 1024, k64: 64 * 1024, m1: 1024 * 1024 } as const;

export function backendConfig(dir: string): string {
  return `daemon off; worker_processes 1; pid ${dir}/backend.pid; error_log ${dir}/backend.err;
events { worker_connections 4096; }
http { access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 3600s;
  server { listen 127.0.0.1:${ports.backend} backlog=4096; root ${dir}/www;
    location = /tiny { return 200 "${'a'.repeat(bodies.tiny)}"; } } }
`;
}

export function nginxConfig(dir: string, full: boolean): string {
  const port = full ? ports.nginxFull : ports.nginx;
  const name = full ? 'nginx-full' : 'nginx';
  const work = full
    ? `proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header traceparent "00-$request_id-0000000000000001-00"; add_header Via "1.1 nginx"; proxy_next_upstream error timeout http_502 http_503 http_504;`
    : '';
  return `daemon off; worker_processes 1; pid ${dir}/${name}.pid; error_log ${dir}/${name}.err;
events { worker_connections 4096; }
http { access_log ${full ? `${dir}/nginx-full.log combined buffer=64k` : 'off'}; keepalive_requests 1000000000; keepalive_timeout 3600s;
  upstream stable { server 127.0.0.1:${ports.backend}; keepalive 256; keepalive_requests 1000000000; }
  upstream canary { server 127.0.0.1:${ports.backend}; keepalive 256; keepalive_requests 1000000000; }
  split_clients "$request_id" $arm { 10% canary; * stable; }
  map $http_x_canary $chosen { "true" canary; default $arm; }
  server { listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://${full ? '$chosen' : 'stable'}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; ${work} } } }
`;
}

export function haproxyConfig(dir: string, kind: 'bare' | 'full' | 'tls'): string {
  const port = { bare: ports.haproxy, full: ports.haproxyFull, tls: ports.haproxyTls }[kind];
  const full = `  option forwardfor
  log ring@requests local0
  option httplog
  unique-id-format %{+X}o%pid%Ts%rt%rc
  http-request set-header traceparent 00-%[uuid,regsub(-,,g)]-0000000000000001-00
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-response set-header Via "1.1 haproxy"
  use_backend canary if { req.hdr(x-canary) -i true }
  use_backend canary if { rand(100) lt 10 }
`;
  return `global
  maxconn 8192
  nbthread 1
${kind === 'full' ? 'ring requests\n  format rfc3164\n  maxlen 1200\n  size 65536\n' : ''}
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:${port} ${kind === 'tls' ? `ssl crt ${dir}/tls.pem` : ''}
${kind === 'full' ? full : ''}  default_backend stable
backend stable
  server s 127.0.0.1:${ports.backend}
backend canary
  server s 127.0.0.1:${ports.backend}
`;
}

/** The gateway with every default feature on; `certificates` is a folder with PEM files for the TLS part. */
export function gatewayTable(certificates: string): RoutingTable {
  const instance = (id: string) => ({ id, host: '127.0.0.1', port: ports.backend, zone: null });
  const plain: ServiceRoute = {
    service: 'bench',
    listenHost: '127.0.0.1',
    listenPort: ports.gateway,
    stable: 'v1',
    canary: {
      version: 'v2',
      weightBp: 1000,
      release: 'bench-1',
      header: 'x-canary',
      lease: { id: 'bench-1', ttlMs: 86_400_000 },
    },
    versions: [
      { version: 'v1', instances: [instance('bench/v1/0')] },
      { version: 'v2', instances: [instance('bench/v2/0')] },
    ],
    timeoutMs: 7000,
    retries: { maxTries: 3, perTryMs: 2000, budgetShare: 0.2 },
    ejection: { consecutive5xx: 5, forMs: 30_000 },
    rateLimit: null,
    edgesMs: [200, 300, 500],
  };
  const tls = {
    certificates: [{ names: [], certFile: join(certificates, 'one.pem'), keyFile: join(certificates, 'one.key') }],
  };
  return {
    term: 1,
    generation: 1,
    services: [plain, { ...plain, service: 'bench-tls', listenPort: ports.gatewayTls, tls }],
  };
}
