/** Colours for terminals; plain text when colour is off (NO_COLOR, pipes, files). */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  bad(text: string): string;
  warn(text: string): string;
}

const wrap =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;

const plain = (text: string): string => text;

export function styleFor(color: boolean): Style {
  if (!color) return { bold: plain, dim: plain, good: plain, bad: plain, warn: plain };
  return { bold: wrap(1, 22), dim: wrap(2, 22), good: wrap(32, 39), bad: wrap(31, 39), warn: wrap(33, 39) };
}

/** Left-aligned columns, two spaces apart; the last column is not padded. */
export function columns(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visible(cell));
  }
  return rows
    .map((row) =>
      row
        .map((cell, index) =>
          index === row.length - 1 ? cell : cell + ' '.repeat((widths[index] ?? 0) - visible(cell)),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function visible(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character starts a colour code
  return text.replace(/\u001b\[\d+m/g, '').length;
}

/** Names come from specs and other processes: control characters must not reach the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '·');
}
