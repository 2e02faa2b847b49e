/** A witness that the ledger's owner has named, by its C2SP verifier key. */
export interface NamedWitness {
  url: string;
  vkey: string;
}

/**
 * The witnesses as C2SP tlog-policy text, which record 0 states: an auditor sees who was to watch from the first day.
 * Any one of them suffices, because an outage of one must not make a checkpoint worthless.
 */
export function policyText(witnesses: readonly NamedWitness[]): string {
  if (witnesses.length === 0) return '';
  const names = witnesses.map((_, i) => `w${i + 1}`);
  const lines = witnesses.map(({ vkey, url }, i) => `witness ${names[i]} ${vkey} ${url}\n`);
  return `${lines.join('')}group all any ${names.join(' ')}\nquorum all\n`;
}

/**
 * What to declare when other witnesses are to watch than `current` says: the wanted ones, and those of before outside any
 * group, so that what they have cosigned still counts for an auditor. The same as `current` when nothing changes.
 */
export function nextPolicy(current: string, wanted: string): string {
  const named = new Set(policyKeys(wanted));
  const former = witnessLines(current).filter(([, , vkey = '']) => !named.has(vkey));
  if (former.length === 0) return wanted;
  const lines = former.map(([, , vkey, url], i) => `witness former${i + 1} ${vkey} ${url}\n`);
  return `${lines.join('')}${wanted === '' ? 'quorum none\n' : wanted}`;
}

/** The verifier keys of the witnesses that a policy names. */
export function policyKeys(policy: string): string[] {
  return witnessLines(policy).flatMap(([, , vkey]) => (vkey === undefined ? [] : [vkey]));
}

function witnessLines(policy: string): string[][] {
  return policy
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([word]) => word === 'witness');
}
