import { defineErrors } from '../lib/error.ts';

export const analysisErrors = defineErrors('analysis', {
  'bad-ticks': {
    means: 'A file of recorded ticks cannot be read.',
    next: 'Compare the named line with the format in docs/judge.md.',
    exit: 2,
    http: 400,
  },
  'no-ticks': {
    means: 'A file of recorded ticks has no ticks.',
    next: 'Record or export some traffic first.',
    exit: 2,
    http: 400,
  },
  'too-many-ticks': {
    means: 'A file of recorded ticks is larger than the replay reads.',
    next: 'Replay it in parts, or export it at a coarser step.',
    exit: 2,
    http: 413,
  },
  'bad-scenario': {
    means: 'A simulated scenario is not understood.',
    next: 'Use one of: healthy, errors:0.5%@12h, latency:+25%@1h, incident:12/2m/5%, bursts, hiccups, cold:x5/60s, drift:20%/1h, nodes:8.5%, outage:x40/60s, node-outage.',
    exit: 2,
    http: 400,
  },
  'other-method': {
    means:
      'The release was judged by another version of the method, so judging it again would say nothing about that decision.',
    next: "Use the Davy that judged it; the ledger's records of the decision stay valid and can be verified by any version.",
    exit: 2,
    http: 409,
  },
});
