/**
 * Text that came from outside (a person, a service, a file, another process) as text that shows what it is. Nothing in it
 * can move a cursor, begin a line, turn the direction of writing or hide; the sinks of this folder build on it.
 */

/** What ends a line in any reader: LF, VT, FF, CR, NEL, and the two separators of Unicode. */
const LINE_BREAK = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/g;
/**
 * Controls (C0, C1), format characters (directions, isolates, tags), what is never shown (zero-width, fillers), halves of
 * characters. The two that emoji are made with stand where emoji are made with them.
 */
const UNSEEN =
  /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]--[\u200d\ufe0f]]|(?<!\p{Extended_Pictographic})\ufe0f(?!\u20e3)|(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}]\ufe0f?)\u200d|\u200d(?!\p{Extended_Pictographic})/gv;
/** No writing stacks more marks on a letter; more of them reach into other lines. */
const STACKED_MARKS = /(\p{M}{4})\p{M}+/gv;
/** Letters that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
/** Nothing that anybody sees: white space, marks without a letter, the blank of braille, and what `UNSEEN` finds. */
const BLANK = /^[\s\p{C}\p{M}\p{Default_Ignorable_Code_Point}\u2800]*$/v;
const PRINTABLE_ASCII = /^[ -~]*$/;

/** Character by character: `⏎` for a line break, `·` for whatever else would not be seen. */
export function visible(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(LINE_BREAK, '⏎').replace(UNSEEN, '·').replace(STACKED_MARKS, '$1');
}

/** The same with a space for every gap: a tab, and a long one, which would push what follows it into the next line. */
export function oneLine(text: string): string {
  return visible(text.replaceAll('\t', ' ')).replace(/\s+/g, ' ').trim();
}

/** For readers that order text by its directions (browsers): text from right to left does not reorder what stands around it. */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}

/** True when there is nothing to read in it. */
export function isBlank(text: string): boolean {
  return BLANK.test(text);
}

/** The first so many UTF-16 units, never ending in half a character. */
export function clip(text: string, max: number): string {
  return text.slice(0, max).replace(/[\ud800-\udbff]$/, '');
}
