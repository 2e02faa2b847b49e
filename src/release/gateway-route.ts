import { dirname, resolve } from 'node:path';
import type { GatewaySpec } from '../spec/gateway-model.ts';
import type { ServiceRoute, StickyRoute, TlsRoute } from '../traffic/model.ts';
import type { ReleaseState } from './state.ts';

/** What the gateway's own settings of a service add to its route. `present`: the versions that are in the route. */
export function gatewayOptions(
  gateway: GatewaySpec | undefined,
  context: { specFile: string; release: ReleaseState | null; present: readonly string[] },
): Partial<ServiceRoute> {
  if (gateway === undefined) return {};
  const { sticky, mirror, tls, ...same } = gateway;
  return {
    ...same,
    ...(sticky ? { sticky: stickyRoute(sticky, context.release) } : {}),
    // Copies for a version that is not running are simply not made.
    ...(mirror && context.present.includes(mirror.version) ? { mirror } : {}),
    ...(tls ? { tls: tlsRoute(tls, dirname(context.specFile)) } : {}),
  };
}

/** Each release deals the places anew, so that it is not always the same clients who go first. The key is the gateway's own. */
function stickyRoute(sticky: NonNullable<GatewaySpec['sticky']>, release: ReleaseState | null): StickyRoute {
  const number = Number(/-(\d{1,9})$/.exec(release?.id ?? '')?.[1] ?? 0);
  return { cookie: sticky.cookie, maxAgeS: sticky.maxAgeS, epoch: number, secret: null };
}

function tlsRoute(tls: NonNullable<GatewaySpec['tls']>, folder: string): TlsRoute {
  const at = (file: string) => resolve(folder, file);
  return {
    certificates: tls.certificates.map(({ names, certFile, keyFile }) => ({
      names,
      certFile: at(certFile),
      keyFile: at(keyFile),
    })),
    clientCaFile: tls.clientCaFile === null ? null : at(tls.clientCaFile),
    allowedSans: tls.allowedSans,
  };
}
