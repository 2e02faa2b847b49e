import { signal } from '@preact/signals';

/** As in the style sheet. */
const NARROW = matchMedia('(max-width: 720px)');

/** The page is as narrow as a telephone. */
export const narrow = signal(NARROW.matches);

NARROW.addEventListener('change', () => {
  narrow.value = NARROW.matches;
});
