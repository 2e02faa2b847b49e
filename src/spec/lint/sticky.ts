import type { Finding } from '../finding.ts';
import type { ServiceSpec } from '../model.ts';
import { type LintContext, trafficPath, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** Each service has a cookie of its own for the places of its clients; one finding for each name that is shared, at the second service that has it. */
export function lintStickyCookies(context: LintContext): Finding[] {
  const users = new Map<string, ServiceSpec[]>();
  for (const service of Object.values(context.spec.services)) {
    const cookie = service.traffic.gateway?.sticky?.cookie;
    if (cookie !== undefined) users.set(cookie, [...(users.get(cookie) ?? []), service]);
  }
  return [...users].flatMap(([cookie, services]): Finding[] => {
    const second = services[1];
    if (second === undefined) return [];
    const names = services.map(({ name }) => name);
    const sentence = `services ${names.slice(0, -1).join(', ')} and ${names.at(-1)} keep the places of their clients in one cookie, ${cookie}`;
    const position = context.at(trafficPath(context, second, ['sticky', 'cookie']));
    return [warningFinding(specWarnings['sticky-cookie-shared'], sentence, position)];
  });
}
