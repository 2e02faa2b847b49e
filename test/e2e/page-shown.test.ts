import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { hostileText } from '../../src/lib/outside-text/hostile.fixture.ts';
import { ApiError, exact, get, post } from '../../web/src/api.ts';

afterEach(() => vi.unstubAllGlobals());

function answering(document: unknown, status = 200): void {
  vi.stubGlobal('fetch', async () => Response.json(document, { status }));
}

/** What turns or hides text; the marks that set a text apart come in pairs around the whole of it. */
const TURNS_OR_HIDES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200b\u200e\u200f\u202a-\u202e\u2066\u2067\ufeff]/u;

it('what the API answers reaches the page in visible characters, each text set apart from its surroundings', async () => {
  await fc.assert(
    fc.asyncProperty(hostileText, async (text) => {
      const document = { releases: [{ reason: text, weightBp: 5, paused: null }], [text]: { deep: [text] } };
      answering(document);
      for (const read of [await get('/x'), await post('/x', {})]) {
        const shown = JSON.stringify(read);
        expect(JSON.parse(shown)).toMatchObject({ releases: [{ weightBp: 5, paused: null }] });
        expect(shown).not.toMatch(TURNS_OR_HIDES);
        expect(shown.split('\u2068').length).toBe(shown.split('\u2069').length);
      }
      expect(await exact('/x')).toEqual(document);
    }),
  );
});

it('an error that quotes what was typed is shown in the same way', async () => {
  answering({ error: { code: 'x', sentence: 'There is no release "a\u202e\nb".', next: '' } }, 404);
  const error = await get('/x').catch((thrown: unknown) => thrown);
  expect((error as ApiError).problem.sentence).toBe('There is no release "a·⏎b".');
  expect(error).toBeInstanceOf(ApiError);
});
