import { DavyError } from '../lib/error.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';

/** The service named, or the only one that a file declares. */
export function serviceOf(spec: Spec, name: string | undefined): ServiceSpec {
  const names = Object.keys(spec.services);
  if (name === undefined && names.length === 1) return spec.services[names[0]!]!;
  if (name !== undefined && Object.hasOwn(spec.services, name)) return spec.services[name]!;
  const problem = name === undefined ? 'Say which service with --service' : `There is no service ${name}`;
  throw new DavyError(cliErrors.usage, `${problem}; the file declares ${names.join(', ')}.`);
}

/** The version named, or the only one besides stable among those seen. */
export function canaryOf(service: ServiceSpec, name: string | undefined, seen: readonly string[]): string {
  if (name === service.stable)
    throw new DavyError(cliErrors.usage, `${name} is the stable version of ${service.name}.`);
  if (name !== undefined) return name;
  const others = seen.filter((version) => version !== service.stable);
  if (others.length === 1) return others[0]!;
  const found = others.length === 0 ? 'only stable was seen' : `seen were ${others.join(', ')}`;
  throw new DavyError(cliErrors.usage, `Say which version was released with --canary; ${found}.`);
}
