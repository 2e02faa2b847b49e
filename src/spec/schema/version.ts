import { z } from 'zod';
import { splitCommand } from '../argv.ts';
import { specDefaults as d } from '../defaults.ts';
import { field, integer, named, refuse, text } from '../fields.ts';

const runLine = text({
  description:
    'The program and its arguments. It runs without a shell, in the folder of the spec, once per replica, with PORT set to the port it must listen on. Quotes work as in a shell; nothing is expanded.',
  example: 'node service.mjs',
  max: 4096,
}).check((context) => {
  const split = splitCommand(context.value);
  if (!('problem' in split)) return;
  const { index, shell, sentence } = split.problem;
  refuse(context, { kind: shell ? 'run-shell' : 'run-syntax', index }, sentence);
});

const endpoint = field(
  z
    .string()
    .max(300)
    .check((context) => {
      const url = URL.parse(context.value);
      const plain =
        url !== null &&
        url.protocol === 'http:' &&
        url.pathname === '/' &&
        !url.search &&
        !url.hash &&
        !url.username &&
        !url.password;
      if (!plain || !/^http:\/\/[^/?#@]+\/?$/.test(context.value)) {
        refuse(context, { kind: 'bad-value' }, 'must be http://host:port without a path, a query or a user');
      }
    }),
  { description: 'Base URL of one running instance.', example: 'http://127.0.0.1:9101' },
);

/** One version of a service: how it is run, or where it runs already. */
export const version = z
  .strictObject({
    run: runLine.optional(),
    env: field(
      z.record(
        named({
          description: 'Name of an environment variable.',
          example: 'FAULT_RATE',
          pattern: /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
          rule: 'be the name of an environment variable: letters, digits and _, not starting with a digit',
        }),
        z.union([z.string().max(32_768), z.number(), z.boolean()]),
      ),
      {
        description: 'Environment of the program, beside PORT. Numbers and booleans are passed on as they are written.',
        example: { VERSION: 'v1' },
        default: {},
      },
    ).optional(),
    replicas: integer({
      description: 'How many instances Davy starts of this version.',
      example: 3,
      default: d.version.replicas,
      min: 1,
      max: 100,
    }).optional(),
    endpoints: field(z.array(endpoint).min(1).max(100), {
      description:
        'Instances that run already; Davy reaches them and starts nothing. A host name is one instance: all its requests go to the address that its last good health check reached.',
      example: ['http://127.0.0.1:9101'],
    }).optional(),
    zone: text({
      description: 'The zone in which all instances of this version run.',
      example: 'eu-west-1a',
      max: 63,
    }).optional(),
  })
  .check((context) => {
    const { run, endpoints, env, replicas } = context.value;
    if (run === undefined && endpoints === undefined)
      refuse(context, { kind: 'version-source' }, 'needs run or endpoints');
    if (run !== undefined && endpoints !== undefined)
      refuse(context, { kind: 'version-source' }, 'has both run and endpoints', ['endpoints']);
    if (run !== undefined || endpoints === undefined) return;
    if (env !== undefined) refuse(context, { kind: 'version-source' }, 'belongs to run, not to endpoints', ['env']);
    if (replicas !== undefined)
      refuse(context, { kind: 'version-source' }, 'belongs to run, not to endpoints', ['replicas']);
  });
