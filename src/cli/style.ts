import { painted, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';

/** Colours for terminals; plain text when colour is off (NO_COLOR, pipes, files). */
export interface Style {
  bold(text: Shown): TerminalText;
  dim(text: Shown): TerminalText;
  good(text: Shown): TerminalText;
  bad(text: Shown): TerminalText;
  warn(text: Shown): TerminalText;
}

const wrap =
  (open: number, close: number) =>
  (text: Shown): TerminalText =>
    painted(open, close, text);

const plain = (text: Shown): TerminalText => term`${text}`;

export function styleFor(color: boolean): Style {
  if (!color) return { bold: plain, dim: plain, good: plain, bad: plain, warn: plain };
  return { bold: wrap(1, 22), dim: wrap(2, 22), good: wrap(32, 39), bad: wrap(31, 39), warn: wrap(33, 39) };
}
