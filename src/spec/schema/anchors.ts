import { z } from 'zod';
import { anchorDefaults as d } from '../anchors.ts';
import { duration, field, named, refuse } from '../fields.ts';

/** An address that checkpoints are sent to; only sizes and hashes leave the machine. */
const address = (description: string, example: string) =>
  field(
    z
      .string()
      .max(300)
      .check((context) => {
        const url = URL.parse(context.value);
        const fits = url !== null && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.hash;
        if (!fits) refuse(context, { kind: 'bad-value' }, 'must be an http:// or https:// address without a user');
      }),
    { description, example },
  );

/** Parties outside that keep what the ledger said, so that its owner cannot rewrite it unseen. */
export const witnesses = z
  .array(
    z.strictObject({
      url: address('Where the witness answers (`davy witness` prints it).', 'http://127.0.0.1:7090'),
      key: named({
        description: 'Its C2SP verifier key (`davy witness` prints it).',
        example: 'audit.example/davy+1b2c3d4e+BAcDOtx8tqTEbVKRDRfL9ZjBCZJqHXRTIvPgMVWCtNJt',
        pattern: /^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/,
        rule: 'be a verifier key: <name>+<8 hex digits>+<base64>',
      }),
    }),
  )
  .max(16);

/** RFC 3161 timestamps on checkpoints. */
export const timestamps = z.strictObject({
  authority: address('The time-stamping authority (RFC 3161).', 'http://127.0.0.1:3180/'),
  every: duration({
    description: 'How often a checkpoint is timestamped; the end of every release is besides.',
    example: '10m',
    default: d.timestampEvery,
    min: '1m',
    max: '24h',
  }).optional(),
});
