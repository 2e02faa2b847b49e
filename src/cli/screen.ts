import type { CliIo } from './io.ts';

const MIN_REDRAW_MS = 200;

/** Redraws a block of lines in place, at most five times a second; the last frame stays on the terminal. */
export interface Screen {
  draw(lines: string[]): void;
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
      const up = height > 0 ? `\u001b[${height}A\r` : '';
      io.out(`${up}${lines.map((line) => `${clip(line, width)}\u001b[K`).join('\n')}\n\u001b[J`);
      height = lines.length;
    },
    end() {
      height = 0;
    },
  };
}

/** Cuts to the terminal's width without cutting a colour code. */
function clip(line: string, width: number): string {
  let visible = 0;
  let out = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character starts a colour code
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith('\u001b')) out += part;
    else {
      out += part.slice(0, Math.max(0, width - 1 - visible));
      visible += part.length;
    }
  }
  return out;
}
