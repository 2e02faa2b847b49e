import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barChart, lineChart } from './svg-chart.ts';

describe('a line chart', () => {
  const chart = (values: (number | null)[], stepped = false) =>
    String(
      lineChart({
        summary: 's',
        timesMs: values.map((_, i) => i * 1_000),
        lines: [{ label: '"><b>', name: 'canary', values, stepped }],
        format: String,
        max: 1,
      }),
    );

  it('has a gap where nothing was measured', () => {
    expect(
      chart([0, 1, null, 1, 0])
        .match(/d="([^"]*)"\/>\n<path class="line canary" d="M64 12/)?.[1]
        ?.match(/M/g),
    ).toHaveLength(2);
  });

  it('steps where a value does not glide', () => {
    expect(chart([0, 1], true)).toMatch(/h0H888V26/);
    expect(chart([0, 1])).toMatch(/h0L888 26/);
  });

  it('holds only finite numbers, whatever it is given', () => {
    const value = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (values) => {
        const all = { summary: '', timesMs: values.map((_, i) => i), format: String };
        const svg = String(lineChart({ ...all, lines: [{ label: '', name: 'canary', values }] }));
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      }),
    );
    expect(String(barChart({ summary: '', bins: [], series: [] }))).not.toMatch(/NaN|Infinity/);
  });
});
