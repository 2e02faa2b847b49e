import { z } from 'zod';
import { specSchema } from './schema/spec.ts';

/** The JSON Schema (draft 2020-12) of davy.yaml, for editors: `davy schema`. */
export function specJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(specSchema, { io: 'input', target: 'draft-2020-12' });
  return {
    $schema: schema.$schema,
    title: 'davy.yaml',
    description:
      'A system as Davy runs it: services and their versions, how traffic to them behaves, how new versions are released.',
    ...schema,
  };
}
