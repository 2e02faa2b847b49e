/** Text that came from outside, as text of a page: no markup, no control or direction-changing characters. */
export function escaped(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

export interface TableRow {
  cells: string[];
  /** Marks the row for the eye; the words say it as well. */
  tone?: 'bad';
}

/** A table of text; cells are escaped here. The first cell of a row is its header. */
export function htmlTable(caption: string, head: string[], rows: TableRow[]): string {
  const row = ({ cells, tone }: TableRow): string => {
    const [first = '', ...rest] = cells.map(escaped);
    const name = tone === undefined ? '' : ` class="${tone}"`;
    return `<tr${name}><th scope="row">${first}</th>${rest.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  };
  return [
    `<table><caption>${escaped(caption)}</caption>`,
    `<thead><tr>${head.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join('')}</tr></thead>`,
    `<tbody>${rows.map(row).join('\n')}</tbody></table>`,
  ].join('\n');
}
