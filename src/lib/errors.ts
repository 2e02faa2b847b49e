import { defineErrors } from './error.ts';

export const libErrors = defineErrors('lib', {
  'spawn-failed': {
    means: 'A program could not be started.',
    next: 'Check that the program exists, is executable and is named as the shell would find it.',
    exit: 2,
    http: 422,
  },
  'blank-reason': {
    means: 'A reason has nothing to read in it: it is empty, white space, or characters that nobody sees.',
    next: 'Say why in a few words (--reason "…"); it is written to the ledger.',
    exit: 2,
    http: 400,
  },
  'no-free-port': {
    means: 'The machine has no free port on the loopback interface.',
    next: 'Stop programs that hold many ports, or raise the range in net.ipv4.ip_local_port_range.',
    exit: 1,
    http: 503,
  },
});
