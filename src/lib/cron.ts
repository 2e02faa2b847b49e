import { Cron } from 'croner';
import { messageOf } from './error.ts';

/**
 * Cron lines of five fields (minute hour day month weekday), always in UTC, and the nicknames `@hourly` to `@yearly`.
 * Nothing else is read: no seconds, no years, no dates, no `?` (which would be the moment of the start).
 */
const FIELDS = ['minute', 'hour', 'day', 'month', 'weekday'] as const;
const NICKNAME = /^@(hourly|daily|weekly|monthly|yearly|annually|midnight)$/;
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
/** The longest that each month can be. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const KNOWN_FORM = 'minute hour day month weekday';

/** What is wrong with a cron line, and at which character. */
export interface CronProblem {
  index: number;
  sentence: string;
}

/** Completes "the line …"; null when it is a cron line that comes due at some time. Takes no time of day as given. */
export function cronProblem(line: string): CronProblem | null {
  const fields = [...line.matchAll(/\S+/g)].map((match) => ({ text: match[0], index: match.index }));
  const [first] = fields;
  if (fields.length === 1 && first && NICKNAME.test(first.text)) return null;
  if (fields.length !== FIELDS.length) {
    const index = fields[FIELDS.length]?.index ?? 0;
    return {
      index,
      sentence: `has ${fields.length} ${fields.length === 1 ? 'field' : 'fields'}, not five (${KNOWN_FORM})`,
    };
  }
  for (const [i, { text, index }] of fields.entries()) {
    const alone = FIELDS.map((_, other) => (other === i ? text : '*')).join(' ');
    const why = text.includes('?') ? 'is no part of a cron line' : refusalOf(alone);
    if (why !== null) return { index, sentence: `has the ${FIELDS[i]} "${text.slice(0, 40)}", which ${why}` };
  }
  const [, , day, month, weekday] = fields;
  if (!day || !month || !weekday || canCome(day.text, month.text, weekday.text)) return null;
  const days = `day ${day.text.slice(0, 40)} of month ${month.text.slice(0, 40)}`;
  return { index: day.index, sentence: `names ${days}, which no year has` };
}

/** Throws for a line that `cronProblem` refuses. */
export function openCron(line: string): Cron {
  return new Cron(line, { timezone: 'UTC', paused: true, mode: '5-part' });
}

function refusalOf(line: string): string | null {
  try {
    openCron(line);
    return null;
  } catch (error) {
    const detail = messageOf(error).replace(/^CronPattern: /, '');
    return /invalid value/i.test(detail) ? 'is out of range' : `is not read (${detail})`;
  }
}

/** Whether some month of the list is as long as the first day of the list. With a weekday the day is one of two choices. */
function canCome(day: string, month: string, weekday: string): boolean {
  const eitherWillDo = weekday !== '*' && !weekday.startsWith('+');
  const firstDay = Math.min(...day.split(',').map((part) => numberAt(part, 1)));
  return eitherWillDo || monthsOf(month).some((one) => firstDay <= (DAYS[one - 1] ?? 0));
}

/** The month numbers of a field that was found to be right. */
function monthsOf(field: string): number[] {
  const all = MONTHS.map((_, i) => i + 1);
  return field.split(',').flatMap((part) => {
    const [range = '', step = '1'] = part.split('/');
    const [from = '', to] = range.split('-');
    const last = to === undefined && !part.includes('/') ? numberAt(from, 1) : numberAt(to ?? '', 12);
    const inRange = range === '*' ? all : all.slice(numberAt(from, 1) - 1, last);
    return inRange.filter((_, i) => i % Number(step) === 0);
  });
}

/** The number or the month that a part begins with; `otherwise` for `*` and for `L`. */
function numberAt(part: string, otherwise: number): number {
  const month = MONTHS.indexOf(part.toUpperCase()) + 1;
  return month || Number(/^\d+/.exec(part)?.[0] ?? otherwise);
}
