import { clipped, joined, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import type { CliIo } from './io.ts';

const MIN_REDRAW_MS = 200;

/** Redraws a block of lines in place, at most five times a second; the last frame stays on the terminal. */
export interface Screen {
  draw(lines: readonly TerminalText[]): void;
  /** Leaves the last frame and moves below it. */
  end(): void;
}

export function createScreen(io: CliIo): Screen {
  let height = 0;
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  return {
    draw(lines) {
      if (io.clock.monoMs() - drawnAtMs < MIN_REDRAW_MS) return;
      drawnAtMs = io.clock.monoMs();
      const width = io.columns();
      const up = height > 0 ? term`\u001b[${height}A\r` : '';
      io.out(term`${up}${joined(lines.map((line) => term`${clipped(line, width - 1)}\u001b[K`))}\n\u001b[J`);
      height = lines.length;
    },
    end() {
      height = 0;
    },
  };
}
