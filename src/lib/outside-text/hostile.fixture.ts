import fc from 'fast-check';

/** What moves a cursor, begins a line, turns the direction of writing, or is not seen. */
export const TRICKS = {
  'a line feed': '\n',
  'a carriage return': '\r',
  'a tab': '\t',
  'an escape sequence': '\u001b[31m',
  'a C1 control (CSI)': '\u009b2J',
  'next line (NEL)': '\u0085',
  'a line separator': '\u2028',
  'a paragraph separator': '\u2029',
  'a right-to-left override': '\u202e',
  'an isolate': '\u2066',
  'a zero-width space': '\u200b',
  'a zero-width joiner between letters': 'a\u200db',
  'a byte order mark': '\ufeff',
  'a tag character': '\u{e0041}',
  'a filler': '\u3164',
  'a variation selector': 'a\ufe0f',
  'half a character': '\ud800',
  NUL: '\u0000',
};

/** Texts with tricks and markup in them, much more often than chance would put them there. */
export const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(...Object.values(TRICKS)),
      fc.constantFrom('<img src=x onerror=alert(1)>', '</td>', '"', "'", '`', '``', '|', '[x](javascript:alert(1))'),
      fc.constantFrom('# ', '- ', '1. ', '> ', '***', '___', '\\', '&lt;', '&', '<!--', '~~', '![x](y)', '      '),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.string({ maxLength: 8 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));
