import { padded, type TerminalText } from '../lib/outside-text/terminal.ts';

/** Small drawings for terminals, all of a fixed width. */

/** `share` 0..1 of `width` cells, in eighths of a cell. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.max(0, Math.min(1, share)) * width * 8);
  const full = Math.floor(eighths / 8);
  const part = eighths % 8;
  return `${'█'.repeat(full)}${part > 0 ? '▏▎▍▌▋▊▉'[part - 1] : ''}`.padEnd(width, '░');
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** The last `width` values as a trend line; the highest value, or `floor` if that is higher, fills a cell. */
export function trend(values: number[], width: number, floor: number): TerminalText {
  const shown = values.slice(-width);
  const top = Math.max(floor, ...shown);
  const levels = shown.map((value) => LEVELS[Math.min(7, Math.floor((value / top) * 7.999))]);
  return padded(levels.join(''), width, 'left');
}
