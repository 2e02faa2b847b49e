import { createHash } from 'node:crypto';
import { blocks, code, type Markdown, md } from '../lib/outside-text/markdown.ts';
import type { TreeHead } from './checkpoint.ts';
import { keyAt, type LedgerFacts } from './facts.ts';
import { parseVerifierKey, publicKeyPem } from './keys.ts';

export interface ReadmeInput {
  release: string | null;
  head: TreeHead;
  records: number;
  files: number;
  proofs: number;
  /** The whole log is in the folder. */
  hasLog: boolean;
  facts: LedgerFacts;
}

/** The one page that goes with an export, for a reader who has never seen Davy. */
export function auditorReadme({ release, head, records, files, proofs, hasLog, facts }: ReadmeInput): Markdown {
  const vkey = keyAt(facts, head.size);
  const fingerprint = fingerprintOf(vkey);
  const about = release === null ? 'the whole ledger' : md`the release **${release}**`;
  return md`# Evidence of ${release ?? 'the whole ledger'}

This folder holds ${about}: ${records} records and ${files} files, as written by the release platform Davy into its
append-only ledger ${code(head.origin)}, and what you need to check them without Davy.

## Check it

    ./verify.sh

needs bash, coreutils, openssl, jq and python3, nothing else, and no network. It ends with \`RESULT ok\` or names what
does not hold. Read it before you run it: it is short.

**Compare the key first.** The checkpoint is worth as much as the key it is signed with. Ask the owner, by another way
than this folder, for the SHA-256 of \`log-key.pem\`; it should be

    ${fingerprint}

${keyHistory(facts, head)}**Compare with what you know.** If you kept a checkpoint from an earlier visit, run \`./verify.sh --checkpoint FILE\`: a
ledger that was rewritten since cannot contain it. If you know the verifier key of a witness, run
\`./verify.sh --witness VKEY\`: it says which checkpoints under \`checkpoints/\` the witness has cosigned, and when.
\`anchors/*.tsr\` are RFC 3161 timestamps (\`--tsa-ca FILE\` checks them).

## What is here

| file | is |
|---|---|
| \`evidence/<name>/<time>-<file>\` | the files, named by the time their record claims |
| \`DESCRIPTIONS.tsv\` | sha256, seq, time, path and description of every file |
| \`SHA256SUMS\` | hashes of everything in this folder |
| \`records.jsonl\` | the records, one per line, byte for byte as hashed |
| \`keys.jsonl\`, \`keys/<size>.pem\` | record 0, which names the first key, every change of the key, and the keys by the size from which they sign |
| \`proofs/<seq>.tlog-proof\` | the place of each record in the signed tree (C2SP tlog-proof); ${proofs} of them |
| \`checkpoint\` | the signed tree head: origin, ${head.size} records, root ${code(head.root)} |
| \`log-key.pem\` | the public key; as C2SP verifier key: ${code(vkey)} |
${hasLog ? md`| \`ledger/\` | the whole log, its seals and attachments |\n` : ''}
## What it proves, and what not

- A record in the signed tree is what was written: no byte of it changed after the checkpoint was signed.
- Against the owner of the key it proves this only up to the last checkpoint that somebody else has kept, cosigned or
  timestamped.
- \`time\` is the claim of the machine that wrote it. A timestamp or cosignature bounds it from above.
- No log can show what was never written. \`davy evidence completeness\` lists the controls against that: every act is
  announced before it is done, silence longer than a minute is a gap, changes nobody announced are recorded as drift.
`;
}

/** Only where there is something to tell: most ledgers never change their key. */
function keyHistory(facts: LedgerFacts, head: TreeHead): Markdown | '' {
  const spans = facts.keys.filter(({ fromSize }) => fromSize <= head.size);
  if (spans.length < 2) return '';
  const rows = spans.map(({ vkey, fromSize }) => md`    ${fingerprintOf(vkey)}  signs from ${fromSize} records on`);
  return md`The key was changed ${spans.length - 1} time(s), each time signed by the key before. If you know an older one, run
\`./verify.sh --key FILE\` with it: the chain of keys must lead from it to this one.

${blocks(rows)}

`;
}

function fingerprintOf(vkey: string): string {
  return createHash('sha256')
    .update(publicKeyPem(parseVerifierKey(vkey)))
    .digest('hex');
}
