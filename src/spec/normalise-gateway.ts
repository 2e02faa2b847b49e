import { formatAuthority, parseAuthority } from '../lib/authority.ts';
import { parseDurationMs, parseShare } from '../lib/units.ts';
import type { ConnectSpec, GatewaySpec, HeaderRuleSpec, TlsSpec } from './gateway-model.ts';
import type { RawTraffic } from './schema/spec.ts';

/** The schema has accepted the text, so it parses. */
const ms = (text: string): number => parseDurationMs(text) as number;
const shareOf = (text: string): number => parseShare(text) as number;

/** The gateway's own settings of a service; only what the file names is there. */
export function normaliseGateway(raw: RawTraffic, service: string): GatewaySpec {
  const { rules, sticky, mirror, breaker, caps, slowStart, zone, limitMode, trustedProxies, accessLog, protocol } = raw;
  const { connect, tls, drain } = raw;
  return {
    ...(rules?.length ? { rules: rules.map(normaliseRule) } : {}),
    ...(sticky ? { sticky: normaliseSticky(sticky, service) } : {}),
    ...(mirror
      ? {
          mirror: {
            version: mirror.version,
            share: shareOf(mirror.share ?? '100%'),
            maxConcurrent: mirror.concurrent ?? 16,
          },
        }
      : {}),
    ...(breaker ? { breaker: { consecutive5xx: breaker.consecutive5xx, openMs: ms(breaker.open) } } : {}),
    ...(caps ? { caps: normaliseCaps(caps) } : {}),
    ...(slowStart ? { slowStartMs: ms(slowStart) } : {}),
    ...(drain ? { drainMs: ms(drain) } : {}),
    ...(zone ? { zone } : {}),
    ...(limitMode ? { rateLimitMode: limitMode } : {}),
    ...(trustedProxies?.length ? { trustedProxies: [...trustedProxies] } : {}),
    ...(accessLog ? { accessLogShare: shareOf(accessLog) } : {}),
    ...(protocol ? { protocol } : {}),
    ...(connect ? { connect: normaliseConnect(connect) } : {}),
    ...(tls ? { tls: normaliseTls(tls) } : {}),
  };
}

/** The name carries the service: services on one host share one jar of cookies, whatever their ports (RFC 6265 section 8.5). */
function normaliseSticky(
  { cookie, maxAge }: NonNullable<RawTraffic['sticky']>,
  service: string,
): NonNullable<GatewaySpec['sticky']> {
  return { cookie: cookie ?? `davy-place-${service}`, maxAgeS: Math.round(ms(maxAge ?? '7d') / 1000) };
}

function normaliseRule({ to, when }: NonNullable<RawTraffic['rules']>[number]): HeaderRuleSpec {
  return {
    to,
    when: when.map(({ header, is, startsWith, present }) => {
      const name = header.toLowerCase();
      if (is !== undefined) return { header: name, match: 'exact' as const, value: is };
      if (startsWith !== undefined) return { header: name, match: 'prefix' as const, value: startsWith };
      return { header: name, match: present === true ? ('present' as const) : ('absent' as const), value: '' };
    }),
  };
}

function normaliseCaps({
  connections,
  pending,
  requests,
}: NonNullable<RawTraffic['caps']>): NonNullable<GatewaySpec['caps']> {
  return {
    ...(connections === undefined ? {} : { maxConnections: connections }),
    ...(pending === undefined ? {} : { maxPending: pending }),
    ...(requests === undefined ? {} : { maxRequests: requests }),
  };
}

function normaliseConnect(raw: NonNullable<RawTraffic['connect']>): ConnectSpec {
  const targets = raw.allow.map((text) => {
    const authority = parseAuthority(text);
    return authority === null ? text : formatAuthority(authority);
  });
  return {
    allow: [...new Set(targets)],
    privateAddresses: raw.private ?? false,
    maxTunnels: raw.concurrent ?? 100,
    connectMs: ms(raw.timeout ?? '5s'),
    idleMs: ms(raw.idle ?? '5m'),
  };
}

function normaliseTls(tls: NonNullable<RawTraffic['tls']>): TlsSpec {
  return {
    certificates: tls.certificates.map(({ names, cert, key }) => ({
      names: [...(names ?? [])],
      certFile: cert,
      keyFile: key,
    })),
    clientCaFile: tls.clientCa ?? null,
    allowedSans: [...(tls.allow ?? [])],
  };
}
