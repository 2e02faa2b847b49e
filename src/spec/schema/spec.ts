import { z } from 'zod';
import { field } from '../fields.ts';
import { timestamps, witnesses } from './anchors.ts';
import { chaos } from './chaos.ts';
import { health } from './health.ts';
import { label } from './names.ts';
import { policy } from './policy.ts';
import { service } from './service.ts';
import { traffic } from './traffic.ts';

const defaults = z.strictObject({
  health: field(health, {
    description: 'Health settings of every service that does not set them itself.',
    example: { path: '/q/health' },
  }).optional(),
  traffic: field(traffic, {
    description: 'Traffic settings of every service that does not set them itself, field by field.',
    example: { timeout: '7s' },
  }).optional(),
});

/** `davy.yaml` as it is written: units are text, defaults are absent. Everything about a field stands in this folder and nowhere else. */
export const specSchema = z.strictObject({
  davy: field(z.literal(1), { description: 'Version of this format.', example: 1 }),
  system: label('Name of the whole system.', 'shop'),
  defaults: field(defaults, {
    description: 'Settings that hold for every service unless it says otherwise.',
    example: { traffic: { timeout: '7s' } },
  }).optional(),
  services: field(z.record(label('Name of a service.', 'service-b'), service), {
    description: 'The services, by name.',
    example: {
      'service-b': { listen: 8082, stable: 'v1', versions: { v1: { run: 'node service.mjs' } }, release: 'standard' },
    },
  }),
  policies: field(z.record(label('Name of a policy.', 'standard'), policy), {
    description: 'How versions are released, by name.',
    example: {
      standard: {
        steps: [
          { weight: '10%', hold: '24h' },
          { weight: '100%', hold: '24h' },
        ],
      },
    },
  }),
  chaos: field(chaos, {
    description: 'Rehearsals of failure: what may be tried, how far it may go, and when.',
    example: { limits: { instances: '50%' }, experiments: {} },
  }).optional(),
  witnesses: field(witnesses, {
    description: 'Parties outside that cosign the checkpoints of the ledger and refuse a rewritten history.',
    example: [
      { url: 'http://127.0.0.1:7090', key: 'audit.example/davy+1b2c3d4e+BAcDOtx8tqTEbVKRDRfL9ZjBCZJqHXRTIvPgMVWCtNJt' },
    ],
    default: [],
  }).optional(),
  timestamps: field(timestamps, {
    description:
      'Timestamps (RFC 3161) on checkpoints: proof that the records existed before a time that Davy does not set.',
    example: { authority: 'http://127.0.0.1:3180/' },
  }).optional(),
});

export type RawSpec = z.infer<typeof specSchema>;
export type RawService = RawSpec['services'][string];
export type RawVersion = RawService['versions'][string];
export type RawHealth = NonNullable<RawService['health']>;
export type RawTraffic = NonNullable<RawService['traffic']>;
export type RawPolicy = RawSpec['policies'][string];
