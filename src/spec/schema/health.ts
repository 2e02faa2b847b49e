import { z } from 'zod';
import { specDefaults as d } from '../defaults.ts';
import { duration, field, integer, named, refuse } from '../fields.ts';

/** The fields that say how an instance is asked; a file gives one of them at most. */
export const probeFields = ['path', 'grpc', 'tcp'] as const;

export const health = z
  .strictObject({
    path: named({
      description:
        'Path that answers 2xx (a redirect is none) when the instance is able to serve; a GET over what `traffic.protocol` says.',
      example: '/q/health',
      default: d.health.path,
      pattern: /^\/[\x21-\x7e]{0,255}$/,
      rule: 'start with / and contain neither blanks nor control characters, at most 256 characters',
    }).optional(),
    grpc: named({
      description:
        "Instead of a path: asks gRPC's health service (`grpc.health.v1.Health/Check`) for this service name, '' for the whole server. The default where `traffic.protocol` is `grpc`.",
      example: 'shop.Orders',
      pattern: /^[\x21-\x7e]{0,127}$/,
      rule: 'be a full gRPC service name or empty: at most 127 visible ASCII characters',
    }).optional(),
    tcp: field(z.literal(true), {
      description: 'Instead of a path: it is enough that the instance accepts a connection.',
      example: true,
    }).optional(),
    every: duration({
      description: 'Time between two checks.',
      example: '2s',
      default: d.health.every,
      min: '100ms',
      max: '1h',
    }).optional(),
    timeout: duration({
      description: 'A check without an answer for this long has failed.',
      example: '1s',
      default: d.health.timeout,
      min: '10ms',
      max: '1m',
    }).optional(),
    unhealthyAfter: integer({
      description: 'Failed checks in a row after which a ready instance gets no traffic.',
      example: 3,
      default: d.health.unhealthyAfter,
      min: 1,
      max: 100,
    }).optional(),
    healthyAfter: integer({
      description: 'Passed checks in a row after which an instance gets traffic.',
      example: 1,
      default: d.health.healthyAfter,
      min: 1,
      max: 100,
    }).optional(),
    startWithin: duration({
      description:
        'A version whose instances are not ready within this time fails its release; stable keeps all traffic.',
      example: '60s',
      default: d.health.startWithin,
      min: '1s',
      max: '1h',
    }).optional(),
  })
  .check((context) => {
    const [first, second] = probeFields.filter((name) => context.value[name] !== undefined);
    if (second === undefined) return;
    refuse(context, { kind: 'health-kind' }, `stands beside ${first}; an instance is asked in one way`, [second]);
  });
