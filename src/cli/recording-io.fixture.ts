import { createVirtualClock } from '../lib/virtual-clock.ts';
import type { CliIo } from './io.ts';

/** The world of a command under test: it keeps what was printed, and stands in `cwd`. */
export function recordingIo(cwd: string): { io: CliIo; got: { out: string; said: string } } {
  const got = { out: '', said: '' };
  const io: CliIo = {
    out: (chunk) => {
      got.out += String(chunk);
    },
    say: (chunk) => {
      got.said += String(chunk);
    },
    env: {},
    cwd,
    interactive: false,
    columns: () => 80,
    color: false,
    clock: createVirtualClock(),
    signal: new AbortController().signal,
    exitCode: 0,
  };
  return { io, got };
}
