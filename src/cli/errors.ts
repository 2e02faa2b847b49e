import { defineErrors } from '../lib/error.ts';

export const cliErrors = defineErrors('cli', {
  usage: {
    means: 'The command line is not understood.',
    next: 'Run the command with --help.',
    exit: 2,
    http: 400,
  },
  unreachable: {
    means: 'No Davy answers at this address.',
    next: 'Start it with `davy up FILE`, or name the right one with --port or --url.',
    exit: 6,
    http: 502,
  },
  'no-token': {
    means: 'The token for this Davy is not known here.',
    next: 'Run the command as the user who runs `davy up`, or set DAVY_TOKEN.',
    exit: 5,
    http: 401,
  },
  'wait-timeout': {
    means: 'The release did not end within the time given; it goes on without the waiting command.',
    next: 'Watch it with `davy status -w`, or wait longer with --timeout.',
    exit: 4,
    http: 504,
  },
  'controller-crashed': {
    means: 'The controller process ended again and again right after its start.',
    next: 'Read the last lines of log/controller.log in the data folder.',
    exit: 1,
    http: 500,
  },
  'demo-failed': {
    means: 'The demo did not go as it should.',
    next: 'Read the summary above; log files lie in the data folder it names.',
    exit: 1,
    http: 500,
  },
});
