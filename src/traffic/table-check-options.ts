import net from 'node:net';
import { parseAuthority } from '../lib/authority.ts';
import { upstreamProtocols } from '../spec/gateway-model.ts';
import type { HealthProbe } from '../spec/model.ts';
import type { ConnectRoute, HeaderRule, ServiceRoute, StickyRoute, TlsRoute } from './model.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,64}$/;
const VALUE = /^[\x20-\x7e]{0,256}$/;
const LIMITS = { rules: 64, conditions: 16, certificates: 64, cidrs: 256, targets: 256, tunnels: 10_000 };

/** What is wrong with a route's optional settings, in one sentence that names the field; null when nothing is. */
export function optionsProblem(route: ServiceRoute): string | null {
  return (
    rulesProblem(route.rules ?? []) ??
    stickyProblem(route.sticky ?? null) ??
    mirrorProblem(route) ??
    protectionProblem(route) ??
    healthProblem(route) ??
    listenerProblem(route) ??
    connectProblem(route.connect ?? null)
  );
}

function rulesProblem(rules: readonly HeaderRule[]): string | null {
  if (!Array.isArray(rules) || rules.length > LIMITS.rules) return `rules must be a list of at most ${LIMITS.rules}.`;
  for (const { when, to } of rules) {
    if (to !== 'stable' && to !== 'canary') return 'rules.to must be stable or canary.';
    if (!Array.isArray(when) || when.length === 0 || when.length > LIMITS.conditions)
      return `rules.when must have 1 to ${LIMITS.conditions} conditions.`;
    for (const { header, match, value } of when) {
      if (!TOKEN.test(header)) return 'rules.when.header must be a lower-case header name.';
      if (!['exact', 'prefix', 'present', 'absent'].includes(match))
        return `rules.when.match ${String(match)} is unknown.`;
      if (!VALUE.test(value)) return 'rules.when.value must be at most 256 visible ASCII characters.';
    }
  }
  return null;
}

function stickyProblem(sticky: StickyRoute | null): string | null {
  if (sticky === null) return null;
  if (!/^[A-Za-z0-9_-]{1,80}$/.test(sticky.cookie)) return 'sticky.cookie must be 1 to 80 letters, digits, _ or -.';
  if (sticky.secret !== null && Buffer.from(String(sticky.secret), 'base64').length < 16)
    return 'sticky.secret must be at least 16 bytes of base64.';
  if (!isCount(sticky.epoch) || sticky.epoch > 999_999_999) return 'sticky.epoch must be an integer 0..999999999.';
  return isCount(sticky.maxAgeS) ? null : 'sticky.maxAgeS must be an integer >= 0.';
}

function mirrorProblem({ mirror, versions }: ServiceRoute): string | null {
  if (mirror == null) return null;
  if (!versions.some(({ version }) => version === mirror.version)) return 'mirror.version is not among the versions.';
  if (!(mirror.share >= 0 && mirror.share <= 1)) return 'mirror.share must be 0..1.';
  return isCount(mirror.maxConcurrent) && mirror.maxConcurrent <= 1000
    ? null
    : 'mirror.maxConcurrent must be an integer 0..1000.';
}

function protectionProblem({ breaker, caps, rateLimitMode }: ServiceRoute): string | null {
  if (breaker != null && !(isCount(breaker.consecutive5xx) && breaker.consecutive5xx > 0 && breaker.openMs > 0)) {
    return 'breaker needs consecutive5xx >= 1 and openMs > 0.';
  }
  for (const [name, cap] of Object.entries(caps ?? {})) {
    if (!isCount(cap) || (cap as number) < 1) return `caps.${name} must be an integer >= 1.`;
  }
  const modes: unknown[] = [undefined, 'enforce', 'shadow'];
  return modes.includes(rateLimitMode) ? null : 'rateLimitMode must be enforce or shadow.';
}

function healthProblem({ healthCheck, slowStartMs, drainMs, accessLogShare }: ServiceRoute): string | null {
  if (healthCheck != null) {
    const { probe, everyMs, timeoutMs, unhealthyAfter, healthyAfter } = healthCheck;
    const problem = probeProblem(probe);
    if (problem !== null) return problem;
    if (!(everyMs >= 10) || !(timeoutMs > 0)) return 'healthCheck needs everyMs >= 10 and timeoutMs > 0.';
    if (!(unhealthyAfter >= 1 && healthyAfter >= 1)) return 'healthCheck needs unhealthyAfter and healthyAfter >= 1.';
  }
  if (slowStartMs !== undefined && !(slowStartMs >= 0)) return 'slowStartMs must be >= 0.';
  if (drainMs !== undefined && !(drainMs >= 0)) return 'drainMs must be >= 0.';
  const share = accessLogShare ?? 0;
  return share >= 0 && share <= 1 ? null : 'accessLogShare must be 0..1.';
}

function probeProblem(probe: HealthProbe): string | null {
  switch (probe?.kind) {
    case 'http1':
    case 'h2c':
      return /^\/[\x21-\x7e]{0,1000}$/.test(probe.path)
        ? null
        : 'healthCheck.probe.path must begin with / and be visible ASCII.';
    case 'grpc':
      return /^[\x21-\x7e]{0,127}$/.test(probe.service)
        ? null
        : 'healthCheck.probe.service must be at most 127 visible ASCII characters.';
    case 'tcp':
      return null;
    default:
      return 'healthCheck.probe.kind must be one of http1, h2c, grpc, tcp.';
  }
}

function connectProblem(connect: ConnectRoute | null): string | null {
  if (connect === null) return null;
  const { allow, privateAddresses, maxTunnels, connectMs, idleMs } = connect;
  if (!Array.isArray(allow) || allow.length === 0 || allow.length > LIMITS.targets)
    return `connect.allow must have 1 to ${LIMITS.targets} targets.`;
  for (const target of allow)
    if (typeof target !== 'string' || parseAuthority(target) === null)
      return `connect.allow: ${String(target)} is no host:port.`;
  if (typeof privateAddresses !== 'boolean') return 'connect.privateAddresses must be true or false.';
  if (!isCount(maxTunnels) || maxTunnels < 1 || maxTunnels > LIMITS.tunnels)
    return `connect.maxTunnels must be an integer 1..${LIMITS.tunnels}.`;
  return connectMs > 0 && idleMs > 0 ? null : 'connect needs connectMs > 0 and idleMs > 0.';
}

function listenerProblem({ trustedProxies, tls, protocol }: ServiceRoute): string | null {
  if (protocol !== undefined && !upstreamProtocols.includes(protocol))
    return `protocol must be one of ${upstreamProtocols.join(', ')}.`;
  const cidrs = trustedProxies ?? [];
  if (!Array.isArray(cidrs) || cidrs.length > LIMITS.cidrs)
    return `trustedProxies must be a list of at most ${LIMITS.cidrs}.`;
  for (const cidr of cidrs) if (!isCidr(cidr)) return `trustedProxies: ${String(cidr)} is no address or CIDR.`;
  return tls == null ? null : tlsProblem(tls);
}

function tlsProblem(tls: TlsRoute): string | null {
  const { certificates } = tls;
  if (!Array.isArray(certificates) || certificates.length === 0 || certificates.length > LIMITS.certificates) {
    return `tls.certificates must have 1 to ${LIMITS.certificates} entries.`;
  }
  for (const { names, certFile, keyFile } of certificates) {
    if (!Array.isArray(names) || typeof certFile !== 'string' || typeof keyFile !== 'string')
      return 'tls.certificates need names, certFile and keyFile.';
  }
  return null;
}

function isCidr(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  const [address = '', bits, more] = text.split('/');
  const family = net.isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
