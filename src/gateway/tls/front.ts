import { readFileSync, statSync } from 'node:fs';
import type net from 'node:net';
import tls from 'node:tls';
import type { TlsRoute } from '../../traffic/model.ts';
import { subjectNames } from './names.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;
const WATCH_EVERY_MS = 5_000;

/** A route's TLS settings with their files read. */
export interface TlsSettings {
  route: TlsRoute;
  /** By name, `*.` ones included; the first certificate also under ''. */
  contexts: Map<string, tls.SecureContext>;
  clientCa: Buffer | null;
  /** Changes when a file does. */
  fingerprint: string;
}

/** Reads certificates, keys and the clients' CA. Throws the system's or OpenSSL's error when one is not usable. */
export function readTls(route: TlsRoute): TlsSettings {
  const clientCa = route.clientCaFile == null ? null : readFileSync(route.clientCaFile);
  const contexts = new Map<string, tls.SecureContext>();
  for (const { names, certFile, keyFile } of route.certificates) {
    const context = tls.createSecureContext({
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
      minVersion: 'TLSv1.2',
      ...(clientCa === null ? {} : { ca: clientCa }),
    });
    for (const name of names) contexts.set(name.toLowerCase(), context);
    if (!contexts.has('')) contexts.set('', context);
  }
  return { route, contexts, clientCa, fingerprint: fingerprintOf(route) };
}

function fingerprintOf(route: TlsRoute): string {
  const files = route.certificates.flatMap(({ certFile, keyFile }) => [certFile, keyFile]);
  if (route.clientCaFile != null) files.push(route.clientCaFile);
  return files.map((file) => `${file} ${statSync(file).mtimeMs} ${statSync(file).ino}`).join('\n');
}

/** RFC 6066 server names; a wildcard covers one label. */
function contextFor(settings: TlsSettings, name: string): tls.SecureContext {
  const lower = name.toLowerCase();
  const wildcard = `*.${lower.slice(lower.indexOf('.') + 1)}`;
  const { contexts } = settings;
  return contexts.get(lower) ?? contexts.get(wildcard) ?? (contexts.get('') as tls.SecureContext);
}

/**
 * Terminates TLS for a listener. New settings hold for new handshakes; connections that are open stay. Files are looked at every
 * few seconds: a renewed certificate needs no new table.
 */
export class TlsFront {
  private settings: TlsSettings;
  private readonly server: tls.Server;
  private readonly watcher: NodeJS.Timeout;
  /** Connections whose handshake is not over. */
  handshaking = 0;

  constructor(settings: TlsSettings, onSocket: (socket: tls.TLSSocket) => void) {
    this.settings = settings;
    this.server = tls.createServer({
      SNICallback: (name, done) => done(null, contextFor(this.settings, name)),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      allowHalfOpen: true,
      ...this.defaults(),
    });
    this.adopt();
    this.server.on('secureConnection', (socket) => {
      this.handshaking--;
      if (this.isAllowed(socket)) onSocket(socket);
      else socket.destroy();
    });
    this.server.on('tlsClientError', (_error, socket) => {
      this.handshaking--;
      socket.destroy();
    });
    this.watcher = setInterval(() => this.look(), WATCH_EVERY_MS).unref();
  }

  accept(socket: net.Socket): void {
    socket.setNoDelay(true);
    this.handshaking++;
    this.server.emit('connection', socket);
  }

  reload(settings: TlsSettings): void {
    this.settings = settings;
    this.server.setSecureContext(this.defaults());
    this.adopt();
  }

  close(): void {
    clearInterval(this.watcher);
  }

  /** The certificate for clients that name no server, and what is asked of clients. */
  private defaults(): tls.TlsOptions {
    const [first] = this.settings.route.certificates;
    const { clientCa } = this.settings;
    return {
      cert: readFileSync(first?.certFile ?? ''),
      key: readFileSync(first?.keyFile ?? ''),
      minVersion: 'TLSv1.2',
      ...(clientCa === null ? {} : { ca: clientCa }),
    };
  }

  /** Node reads these two for every new connection. */
  private adopt(): void {
    const asksClients = this.settings.clientCa !== null;
    Object.assign(this.server, { requestCert: asksClients, rejectUnauthorized: asksClients });
  }

  /** A client certificate must carry one of the allowed names, when names are given. */
  private isAllowed(socket: tls.TLSSocket): boolean {
    if (this.settings.clientCa === null) return true;
    if (!socket.authorized) return false;
    const allowed = this.settings.route.allowedSans ?? [];
    if (allowed.length === 0) return true;
    const names = subjectNames(socket.getPeerCertificate().subjectaltname ?? '');
    return names.some(({ kind, name }) => (kind === 'DNS' || kind === 'URI') && allowed.includes(name));
  }

  private look(): void {
    try {
      if (fingerprintOf(this.settings.route) !== this.settings.fingerprint) this.reload(readTls(this.settings.route));
    } catch {
      // Half-written files: the present certificate stays until they are whole.
    }
  }
}
