import { shown } from './shown.ts';

/** The API as the page talks to it: same origin, by cookie, with the header that other sites cannot send. */

export interface Problem {
  code: string;
  sentence: string;
  next: string;
}

export class ApiError extends Error {
  readonly problem: Problem;
  readonly status: number;
  constructor(problem: Problem, status: number) {
    super(problem.sentence);
    this.problem = problem;
    this.status = status;
  }
}

const UNREACHABLE: Problem = {
  code: 'page/unreachable',
  sentence: 'Davy does not answer.',
  next: 'Traffic goes on without it. The page tries again by itself.',
};
const TIMEOUT_MS = 20_000;

export async function call(method: string, path: string, body?: unknown, headers = {}): Promise<Response> {
  const init: RequestInit = {
    method,
    credentials: 'same-origin',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      'x-davy-page': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answer = await fetch(path, init).catch(() => {
    throw new ApiError(UNREACHABLE, 0);
  });
  if (answer.ok) return answer;
  const document = (await answer.json().catch(() => null)) as { error?: Problem } | null;
  throw new ApiError(shown(document?.error ?? UNREACHABLE), answer.status);
}

/** What the API answers, fit to be shown. */
export async function get<T>(path: string): Promise<T> {
  return shown(await exact<T>(path));
}

/** What the API answers, to the character: for what is checked, not for what is shown. */
export async function exact<T>(path: string): Promise<T> {
  return (await call('GET', path)).json() as Promise<T>;
}

export async function post<T>(path: string, body: unknown, headers = {}): Promise<T> {
  const key = { 'idempotency-key': crypto.randomUUID(), ...headers };
  return shown((await (await call('POST', path, body, key)).json()) as T);
}

export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  return { code: 'page/error', sentence: error instanceof Error ? error.message : 'Something failed.', next: '' };
}
