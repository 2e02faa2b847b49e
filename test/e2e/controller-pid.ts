import { recordsIn } from './records.ts';

/** The controller that wrote last, as its writer id says. */
export function controllerPid(dataDir: string): number {
  return Number(recordsIn(dataDir).at(-1)?.w.replace('ctl-', ''));
}
