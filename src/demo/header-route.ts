import { request } from 'undici';

const TRIES = 20;

/** Sends requests with the canary header, and as many without; true when every one with it met the canary. */
export async function checkHeaderRoute(port: number, header: string, canary: string): Promise<boolean> {
  for (let i = 0; i < TRIES; i++) {
    if ((await versionFrom(port, { [header]: 'true' })) !== canary) return false;
  }
  return true;
}

async function versionFrom(port: number, headers: Record<string, string>): Promise<string> {
  const answer = await request(`http://127.0.0.1:${port}/`, { headers, headersTimeout: 5000, bodyTimeout: 5000 });
  const body = (await answer.body.json()) as { version?: string };
  return body.version ?? '';
}
