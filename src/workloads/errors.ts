import { defineErrors } from '../lib/error.ts';

export const workloadsErrors = defineErrors('workloads', {
  'unknown-instance': {
    means: 'No instance of this name is declared.',
    next: 'Use an instance that `davy status` lists: <service>/<version>/<number>.',
    exit: 2,
    http: 404,
  },
  'not-ours': {
    means: 'The instance was not started by Davy (its version declares `endpoints`), so Davy cannot stop or start it.',
    next: 'Restart it where it runs, or let Davy run the version with `run:`.',
    exit: 2,
    http: 409,
  },
  'not-running': {
    means: 'The instance has no process now that Davy started.',
    next: 'Wait until it is ready (`davy status`); an instance under `endpoints` is never started by Davy.',
    exit: 2,
    http: 409,
  },
  stopped: {
    means: 'The instances are being stopped or were stopped.',
    next: 'Start them again with `davy up`.',
    exit: 1,
    http: 409,
  },
});
