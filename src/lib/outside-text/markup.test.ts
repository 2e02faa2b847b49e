import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { htmlTable } from '../../reports/markup.ts';
import { hostileText } from './hostile.fixture.ts';
import { html, lines } from './markup.ts';

describe('markup', () => {
  it('whatever the text, it adds no tag, no attribute, no line and nothing that turns the direction', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        expect(String(html`${text}`)).not.toMatch(
          /[<>"'\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066\u2067]|&(?!amp;|lt;|gt;|quot;|#39;)/u,
        );
      }),
    );
  });

  it('takes its own words and what it made itself as they stand', () => {
    const items = ['<a>', 'b'].map((text) => html`<li>${text}</li>`);
    expect(String(html`<ul title="${'"x'}">${items}</ul>`)).toBe(
      '<ul title="&quot;x"><li>&lt;a&gt;</li><li>b</li></ul>',
    );
    expect(String(lines([html`<p>`, html`${5}`]))).toBe('<p>\n5');
  });

  it('sets text from right to left apart from what stands around it', () => {
    expect(String(html`<td>${'שלום'}</td>`)).toBe('<td>\u2068שלום\u2069</td>');
  });

  it('escapes every cell of a table', () => {
    const table = String(htmlTable('<c>', ['<h>'], [{ cells: ['<a>', '<b>'], tone: 'bad' }]));
    expect(table.match(/&lt;/g)).toHaveLength(4);
    expect(table).toContain('<tr class="bad">');
  });
});
