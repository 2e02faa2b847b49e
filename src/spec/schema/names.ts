import { named } from '../fields.ts';

const labelPattern = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelRule = 'be a label: a-z, 0-9 and -, starting with a letter, at most 63 characters';
const versionPattern = /^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const versionRule =
  'be a version name: letters, digits, dots, - and _, at most 63 characters, starting and ending with a letter or digit';

export const label = (description: string, example: string) =>
  named({ description, example, pattern: labelPattern, rule: labelRule });
export const versionName = (description: string, example: string) =>
  named({ description, example, pattern: versionPattern, rule: versionRule });
