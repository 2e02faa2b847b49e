import { html, lines, type Markup } from '../lib/outside-text/markup.ts';

export interface TableRow {
  cells: string[];
  /** Marks the row for the eye; the words say it as well. */
  tone?: 'bad';
}

/** A table of text. The first cell of a row is its header. */
export function htmlTable(caption: string, head: string[], rows: TableRow[]): Markup {
  const row = ({ cells, tone }: TableRow): Markup => {
    const [first = '', ...rest] = cells;
    const name = tone === undefined ? '' : html` class="${tone}"`;
    return html`<tr${name}><th scope="row">${first}</th>${rest.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  };
  return lines([
    html`<table><caption>${caption}</caption>`,
    html`<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>`,
    html`<tbody>${lines(rows.map(row))}</tbody></table>`,
  ]);
}
