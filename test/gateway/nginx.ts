import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As plain a proxy as nginx can be: nothing buffered, hidden, merged or rewritten that a directive can leave alone. */
function config(dir: string, listen: number, origin: number): string {
  return `daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 512; }
http {
  access_log off; server_tokens off; gzip off; etag off; max_ranges 0;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  client_max_body_size 0; large_client_header_buffers 8 32k; client_header_buffer_size 32k;
  underscores_in_headers on; ignore_invalid_headers off; merge_slashes off; keepalive_requests 1000000;
  upstream origin { server 127.0.0.1:${origin}; keepalive 32; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${listen};
    location / {
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_request_buffering off; proxy_buffering off; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k; proxy_next_upstream off; proxy_redirect off;
      proxy_pass_header Server; proxy_pass_header Date; proxy_intercept_errors off;
    }
  }
}
`;
}

export interface Nginx {
  port: number;
  stop(): Promise<void>;
}

/** Starts nginx in front of an origin; resolves once it listens. */
export async function startNginx(program: string, port: number, origin: number): Promise<Nginx> {
  const dir = mkdtempSync(join(tmpdir(), 'davy-nginx-'));
  mkdirSync(join(dir, 'body'));
  writeFileSync(join(dir, 'nginx.conf'), config(dir, port, origin));
  const child = spawn(program, ['-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await listening(child, port);
  return {
    port,
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    const ok = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
