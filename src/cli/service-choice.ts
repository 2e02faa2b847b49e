import { DavyError } from '../lib/error.ts';
import { listed, noSuch } from '../lib/nearest.ts';
import { own } from '../lib/own.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';

/** The service named, or the only one that a file declares. */
export function serviceOf(spec: Spec, name: string | undefined): ServiceSpec {
  const services = Object.values(spec.services);
  const [only] = services;
  if (name === undefined && only && services.length === 1) return only;
  const found = name === undefined ? undefined : own(spec.services, name);
  if (found) return found;
  const names = services.map((service) => service.name);
  const sentence =
    name === undefined
      ? `Say which service with --service; the file declares ${listed(names)}.`
      : noSuch('service', name, names);
  throw new DavyError(cliErrors.usage, sentence);
}

/** The version named, or the only one besides stable among those seen. */
export function canaryOf(service: ServiceSpec, name: string | undefined, seen: readonly string[]): string {
  if (name === service.stable)
    throw new DavyError(cliErrors.usage, `${name} is the stable version of ${service.name}.`);
  const known = [...new Set([...seen, ...Object.keys(service.versions)])];
  if (name !== undefined && known.includes(name)) return name;
  if (name !== undefined) throw new DavyError(cliErrors.usage, noSuch('version', name, known, `of ${service.name}`));
  const others = seen.filter((version) => version !== service.stable);
  if (others.length === 1) return others[0]!;
  const found = others.length === 0 ? 'only stable was seen' : `seen were ${others.join(', ')}`;
  throw new DavyError(cliErrors.usage, `Say which version was released with --canary; ${found}.`);
}
