/** Defaults of the chaos section, as they would be written in the file. */
export const chaosDefaults = {
  limits: { instances: '50%', requests: '50%', minHealthy: 1 },
  probe: { good: '99%', every: '200ms', minRequests: 20 },
  share: '100%',
  steady: '5s',
  recover: '60s',
};
