import { z } from 'zod';
import { specDefaults as d } from '../defaults.ts';
import { duration, field, integer, rate, refuse, share } from '../fields.ts';
import { health } from './health.ts';
import { label, versionName } from './names.ts';
import { traffic } from './traffic.ts';
import { version } from './version.ts';

const objective = z
  .strictObject({
    name: label('Name of the objective, unique in its service.', 'availability'),
    target: share({
      description: 'Availability: at least this share of requests succeeds.',
      example: '99.9%',
      min: '1%',
      max: '99.999999%',
    }).optional(),
    share: share({
      description: 'Latency: at least this share of requests is answered within `under`.',
      example: '95%',
      min: '1%',
      max: '99.999999%',
    }).optional(),
    under: duration({
      description: 'Latency: the bound that goes with `share`.',
      example: '200ms',
      min: '1ms',
      max: '1h',
    }).optional(),
    window: duration({
      description: 'The rolling time over which the objective is counted.',
      example: '30d',
      default: d.objective.window,
      min: '1h',
      max: '365d',
    }).optional(),
  })
  .check((context) => {
    const { target, share: latencyShare, under } = context.value;
    if (target !== undefined && (latencyShare !== undefined || under !== undefined)) {
      refuse(
        context,
        { kind: 'objective-kind' },
        'has target and share or under; it is either availability or latency',
      );
    } else if (target === undefined && (latencyShare === undefined || under === undefined)) {
      refuse(context, { kind: 'objective-kind' }, 'needs target (availability), or share and under (latency)');
    }
  });

const expect = z.strictObject({
  rate: rate({
    description: 'Requests that usually arrive. Only `davy check` reads it: can a step prove its claim with so few?',
    example: '300/s',
    min: '0.0001/s',
    max: '10000000/s',
  }),
});

export const service = z.strictObject({
  listen: integer({
    description: "The gateway's port for this service on 127.0.0.1. Callers go through it, other services included.",
    example: 8082,
    min: 1,
    max: 65_535,
  }),
  stable: versionName('The version that carries all traffic when nothing is being released, at the first start.', 'v1'),
  versions: field(z.record(versionName('Name of a version.', 'v1'), version), {
    description:
      'The versions that can be released, by name. Each is run by Davy (`run`) or runs already (`endpoints`).',
    example: { v1: { run: 'node service.mjs', replicas: 3 } },
  }),
  health: field(health, {
    description: 'How Davy sees that an instance is able to serve.',
    example: { path: '/q/health', every: '2s' },
  }).optional(),
  traffic: field(traffic, {
    description: 'What the gateway does with requests to this service. Fields left out come from `defaults`.',
    example: { timeout: '7s', canaryHeader: 'x-canary' },
  }).optional(),
  release: label('The policy under `policies` by which new versions are released.', 'standard'),
  objectives: field(z.array(objective).max(20), {
    description: 'What users may expect of the service.',
    example: [{ name: 'availability', target: '99.9%', window: '30d' }],
    default: [],
  }).optional(),
  expect: field(expect, {
    description: 'What Davy may assume when it checks the arithmetic of this spec.',
    example: { rate: '300/s' },
  }).optional(),
});
