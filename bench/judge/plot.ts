/** Plain SVG bar charts: no script, no style sheet, readable on light and dark pages. */
export interface Bar {
  label: string;
  value: number;
  text: string;
  accent?: boolean;
}

const ROW = 22;
const LABEL = 170;
const WIDTH = 720;

/** Horizontal bars; with `log`, lengths follow the logarithm between `min` and `max`. */
export function bars(title: string, list: readonly Bar[], min: number, max: number, log: boolean): string {
  const height = 44 + list.length * ROW;
  const room = WIDTH - LABEL - 150;
  const length = (value: number): number => {
    const clamped = Math.max(min, Math.min(max, value));
    const part = log ? Math.log(clamped / min) / Math.log(max / min) : (clamped - min) / (max - min);
    return Math.max(2, room * part);
  };
  const rows = list.map((bar, i) => {
    const y = 38 + i * ROW;
    const fill = bar.accent ? '#d97706' : '#64748b';
    return [
      `<text x="${LABEL - 8}" y="${y + 13}" text-anchor="end" fill="#64748b">${escapeXml(bar.label)}</text>`,
      `<rect x="${LABEL}" y="${y + 2}" width="${length(bar.value).toFixed(1)}" height="15" rx="2" fill="${fill}"/>`,
      `<text x="${(LABEL + length(bar.value) + 6).toFixed(1)}" y="${y + 13}" fill="#64748b">${escapeXml(bar.text)}</text>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="${escapeXml(title)}">`,
    `<text x="0" y="18" font-size="14" font-weight="600" fill="#64748b">${escapeXml(title)}</text>`,
    ...rows,
    '</svg>\n',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}
