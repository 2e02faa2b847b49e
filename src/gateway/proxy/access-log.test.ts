import { expect, it, vi } from 'vitest';
import { answering, get, startGateway, startUpstream } from '../testing/harness.ts';

it('logs what happened, without query or header values', async () => {
  const upstream = await startUpstream(answering());
  const gateway = await startGateway({ stable: [upstream], route: { accessLogShare: 1 } });
  const lines: string[] = [];
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  await gateway.exchange(get('/a/b?token=secret', 'Authorization: Bearer secret\r\n'));
  await gateway.apply({ stable: [], route: { accessLogShare: 1 } });
  await gateway.exchange(get('/c'));
  await gateway.exchange(get('/\u009b2J\u00ad'));
  spy.mockRestore();
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({
    service: 'svc',
    version: 'v1',
    instance: 'svc/v1/0',
    cohort: 'weight',
    status: 200,
    flags: '-',
    method: 'GET',
    path: '/a/b',
    tries: 1,
  });
  expect(second).toMatchObject({ version: null, status: 503, flags: 'UH', path: '/c' });
  expect(lines.join('')).not.toContain('secret');
  // Octets that a terminal would take for a command or not show stand escaped.
  expect(lines.join('')).not.toMatch(/[[\p{Cc}--\n]\p{Cf}]/v);
  await gateway.close();
  await upstream.close();
});
