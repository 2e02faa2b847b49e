import net from 'node:net';
import { parseAuthority } from '../lib/authority.ts';
import { upstreamProtocols } from '../spec/gateway-model.ts';
import type { HealthProbe } from '../spec/model.ts';
import type { ConnectRoute, HeaderCondition, HeaderRule, ServiceRoute, StickyRoute, TlsRoute } from './model.ts';
import {
  isBetween,
  isCount,
  isObject,
  isPositive,
  isShare,
  isText,
  isTextList,
  isTextOrNull,
} from './outside-values.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,64}$/;
const VALUE = /^[\x20-\x7e]{0,256}$/;
/** A day: no time in a table is longer. */
const MAX_MS = 24 * 3_600_000;
const LIMITS = { rules: 64, conditions: 16, certificates: 64, cidrs: 256, targets: 256, tunnels: 10_000 };

/** What is wrong with a route's optional settings, in one sentence that names the field; null when nothing is. */
export function optionsProblem(route: ServiceRoute): string | null {
  return (
    plainProblem(route) ??
    rulesProblem(route.rules ?? []) ??
    stickyProblem(route.sticky ?? null) ??
    mirrorProblem(route) ??
    protectionProblem(route) ??
    healthProblem(route) ??
    listenerProblem(route) ??
    connectProblem(route.connect ?? null)
  );
}

function plainProblem({ zone, webSocket }: ServiceRoute): string | null {
  if (!isTextOrNull(zone)) return 'zone must be a name.';
  return webSocket === undefined || typeof webSocket === 'boolean' ? null : 'webSocket must be true or false.';
}

function rulesProblem(rules: readonly HeaderRule[]): string | null {
  if (!Array.isArray(rules) || rules.length > LIMITS.rules) return `rules must be a list of at most ${LIMITS.rules}.`;
  for (const rule of rules) {
    if (!isObject(rule)) return 'rules must be objects.';
    const { when, to } = rule;
    if (to !== 'stable' && to !== 'canary') return 'rules.to must be stable or canary.';
    if (!Array.isArray(when) || when.length === 0 || when.length > LIMITS.conditions)
      return `rules.when must have 1 to ${LIMITS.conditions} conditions.`;
    const problem = when.map(conditionProblem).find((found) => found !== null);
    if (problem !== undefined) return problem;
  }
  return null;
}

function conditionProblem(condition: HeaderCondition): string | null {
  if (!isObject(condition)) return 'rules.when must be objects.';
  const { header, match, value } = condition;
  if (!isText(header, TOKEN)) return 'rules.when.header must be a lower-case header name.';
  if (!['exact', 'prefix', 'present', 'absent'].includes(match)) return 'rules.when.match is unknown.';
  return isText(value, VALUE) ? null : 'rules.when.value must be at most 256 visible ASCII characters.';
}

function stickyProblem(sticky: StickyRoute | null): string | null {
  if (sticky === null) return null;
  if (!isObject(sticky)) return 'sticky must be an object.';
  if (!isText(sticky.cookie, /^[A-Za-z0-9_-]{1,80}$/)) return 'sticky.cookie must be 1 to 80 letters, digits, _ or -.';
  const { secret } = sticky;
  if (secret !== null && !(isText(secret, /^/) && Buffer.from(secret, 'base64').length >= 16))
    return 'sticky.secret must be at least 16 bytes of base64.';
  if (!isCount(sticky.epoch) || sticky.epoch > 999_999_999) return 'sticky.epoch must be an integer 0..999999999.';
  return isCount(sticky.maxAgeS) ? null : 'sticky.maxAgeS must be an integer >= 0.';
}

function mirrorProblem({ mirror, versions }: ServiceRoute): string | null {
  if (mirror == null) return null;
  if (!isObject(mirror)) return 'mirror must be an object.';
  if (!versions.some(({ version }) => version === mirror.version)) return 'mirror.version is not among the versions.';
  if (!isShare(mirror.share)) return 'mirror.share must be 0..1.';
  return isCount(mirror.maxConcurrent) && mirror.maxConcurrent <= 1000
    ? null
    : 'mirror.maxConcurrent must be an integer 0..1000.';
}

function protectionProblem({ breaker, caps, rateLimitMode }: ServiceRoute): string | null {
  if (
    breaker != null &&
    !(isCount(breaker.consecutive5xx) && breaker.consecutive5xx > 0 && isPositive(breaker.openMs))
  ) {
    return 'breaker needs consecutive5xx >= 1 and openMs > 0.';
  }
  if (caps != null && !isObject(caps)) return 'caps must be an object.';
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
    if (!isBetween(everyMs, 10, MAX_MS) || !isPositive(timeoutMs))
      return 'healthCheck needs everyMs >= 10 and timeoutMs > 0.';
    if (!isBetween(unhealthyAfter, 1, 1e6) || !isBetween(healthyAfter, 1, 1e6))
      return 'healthCheck needs unhealthyAfter and healthyAfter >= 1.';
  }
  if (slowStartMs !== undefined && !isBetween(slowStartMs, 0, MAX_MS)) return 'slowStartMs must be >= 0.';
  if (drainMs !== undefined && !isBetween(drainMs, 0, MAX_MS)) return 'drainMs must be >= 0.';
  return accessLogShare === undefined || isShare(accessLogShare) ? null : 'accessLogShare must be 0..1.';
}

function probeProblem(probe: HealthProbe): string | null {
  switch (probe?.kind) {
    case 'http1':
    case 'h2c':
      return isText(probe.path, /^\/[\x21-\x7e]{0,1000}$/)
        ? null
        : 'healthCheck.probe.path must begin with / and be visible ASCII.';
    case 'grpc':
      return isText(probe.service, /^[\x21-\x7e]{0,127}$/)
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
  if (!isObject(connect)) return 'connect must be an object.';
  const { allow, privateAddresses, maxTunnels, connectMs, idleMs } = connect;
  if (!Array.isArray(allow) || allow.length === 0 || allow.length > LIMITS.targets)
    return `connect.allow must have 1 to ${LIMITS.targets} targets.`;
  for (const target of allow)
    if (typeof target !== 'string' || parseAuthority(target) === null)
      return 'connect.allow: not every target is host:port.';
  if (typeof privateAddresses !== 'boolean') return 'connect.privateAddresses must be true or false.';
  if (!isCount(maxTunnels) || maxTunnels < 1 || maxTunnels > LIMITS.tunnels)
    return `connect.maxTunnels must be an integer 1..${LIMITS.tunnels}.`;
  return isPositive(connectMs) && isPositive(idleMs) ? null : 'connect needs connectMs > 0 and idleMs > 0.';
}

function listenerProblem({ trustedProxies, tls, protocol }: ServiceRoute): string | null {
  if (protocol !== undefined && !upstreamProtocols.includes(protocol))
    return `protocol must be one of ${upstreamProtocols.join(', ')}.`;
  const cidrs = trustedProxies ?? [];
  if (!Array.isArray(cidrs) || cidrs.length > LIMITS.cidrs)
    return `trustedProxies must be a list of at most ${LIMITS.cidrs}.`;
  for (const cidr of cidrs) if (!isCidr(cidr)) return 'trustedProxies: not every entry is an address or a CIDR.';
  return tls == null ? null : tlsProblem(tls);
}

function tlsProblem(tls: TlsRoute): string | null {
  if (!isObject(tls)) return 'tls must be an object.';
  const { certificates, clientCaFile, allowedSans } = tls;
  if (!isTextOrNull(clientCaFile)) return 'tls.clientCaFile must be a file.';
  if (allowedSans !== undefined && !isTextList(allowedSans)) return 'tls.allowedSans must be a list of names.';
  if (!Array.isArray(certificates) || certificates.length === 0 || certificates.length > LIMITS.certificates) {
    return `tls.certificates must have 1 to ${LIMITS.certificates} entries.`;
  }
  for (const certificate of certificates) {
    if (!isObject(certificate)) return 'tls.certificates must be objects.';
    const { names, certFile, keyFile } = certificate;
    if (!isTextList(names) || typeof certFile !== 'string' || typeof keyFile !== 'string')
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
