import { createInterface } from 'node:readline';
import { messageOf } from '../lib/error.ts';
import { runLoad } from './generator.ts';
import type { LoadPlan } from './plan.ts';

/**
 * The generator as a process of its own, so that it neither disturbs nor is disturbed by its caller. Standard input:
 * the plan as one JSON line, then optionally `stop`; its end means that the caller is gone, and the load ends with it.
 * Standard output: JSON lines `{live}` and at the end `{result}` or `{error}`.
 */
const liveEveryMs = 250;

const say = (message: object): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

process.stdout.on('error', () => process.exit(1));
// Ctrl-C reaches the whole process group; the caller decides what it means.
process.on('SIGINT', () => {});

const input = createInterface({ input: process.stdin });
input.once('line', (line) => {
  try {
    const run = runLoad(JSON.parse(line) as LoadPlan);
    const timer = setInterval(() => say({ live: run.live() }), liveEveryMs);
    input.on('line', () => run.stop());
    input.once('close', () => run.stop());
    void run.done.then((result) => {
      clearInterval(timer);
      say({ live: run.live() });
      process.stdout.write(`${JSON.stringify({ result })}\n`, () => process.exit(0));
    });
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: messageOf(error) })}\n`, () => process.exit(2));
  }
});
