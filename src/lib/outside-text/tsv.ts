import { oneLine } from './visible.ts';

/** One line of a table with tabs between its cells. A cell is one line, holds no tab, and is no formula to a spreadsheet. */
export function tsvRow(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => plainCell(String(cell))).join('\t')}\n`;
}

/** A leading apostrophe makes text of what would be computed (OWASP, CSV injection). */
function plainCell(text: string): string {
  const line = oneLine(text);
  return /^[=+\-@]/.test(line) ? `'${line}` : line;
}
