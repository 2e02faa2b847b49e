import { stringify } from 'yaml';

/** A value as YAML in one line, such as `{ weight: 10%, hold: 24h }`: what a reader can paste. */
export function flowYaml(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}
