#!/usr/bin/env bash
# Checks evidence exported from Davy, or a whole copied ledger folder, without any of Davy's code:
# bash, coreutils, openssl (1.1.1 or newer), jq and python3's standard library.
#
#   ./verify.sh [FOLDER] [--checkpoint FILE] [--tsa-ca FILE]
#
# FOLDER         an export or a ledger folder; default: the folder of this script
# --checkpoint   a checkpoint that you kept from earlier: the ledger must still contain it
# --tsa-ca       certificates of the time-stamping authority, to check anchors/*.tsr
#
# Exit: 0 everything holds, 1 something does not, 2 usage.
set -uo pipefail

folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
kept=''
tsa_ca=''
while [ $# -gt 0 ]; do
  case $1 in
    --checkpoint) kept=$(realpath -- "$2"); shift 2 ;;
    --tsa-ca) tsa_ca=$(realpath -- "$2"); shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) folder=$(realpath -- "$1"); shift ;;
  esac
done
cd -- "$folder" || exit 2
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
failed=0
good() { printf 'ok    %s\n' "$*"; }
bad() { printf 'BAD   %s\n' "$*"; failed=1; }

# signed NOTE KEY: does the ledger's Ed25519 key sign the text of this note?
signed() {
  python3 - "$1" "$scratch" <<'PY' || return 1
import base64, sys
note = open(sys.argv[1], 'rb').read()
text, _, signatures = note.rpartition(b'\n\n')
text += b'\n'
origin = text.split(b'\n')[0].decode()
for line in signatures.decode().splitlines():
    dash, name, encoded = line.split(' ')
    if dash == '\u2014' and name == origin:
        open(sys.argv[2] + '/text', 'wb').write(text)
        open(sys.argv[2] + '/signature', 'wb').write(base64.b64decode(encoded)[4:])
        sys.exit(0)
sys.exit('no signature under the name ' + origin)
PY
  openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$scratch/text" -sigfile "$scratch/signature" >/dev/null 2>&1
}

# 1 every file of an export is what it was
if [ -f SHA256SUMS ]; then
  if sha256sum --quiet --strict -c SHA256SUMS; then good 'every file has the SHA-256 that SHA256SUMS states'
  else bad 'a file differs from SHA256SUMS'; fi
fi

key=log-key.pem
[ -f "$key" ] && printf 'key   SHA-256 of log-key.pem: %s (compare it with the one you were given)\n' "$(sha256sum <"$key" | cut -c1-64)"
[ -f checkpoint ] || bad 'there is no checkpoint: nothing is signed'

# 2 who signed
if [ -f checkpoint ]; then
  if signed checkpoint "$key"; then good "the checkpoint of $(sed -n 2p checkpoint) records is signed by log-key.pem"
  else bad 'the signature of the checkpoint does not verify'; fi
fi
if [ -n "$kept" ]; then
  if signed "$kept" "$key"; then good "the kept checkpoint of $(sed -n 2p "$kept") records is signed by log-key.pem"
  else bad 'the kept checkpoint is not signed by log-key.pem'; fi
fi

# 3 whole ledger: seals, chain, tree, attachments
ledger=.
[ -d ledger/log ] && ledger=ledger
if [ -d "$ledger/log" ]; then
  if [ -s "$ledger/SEALS" ]; then
    if (cd "$ledger" && sha256sum --quiet --strict -c SEALS); then good 'sealed segments match SEALS'
    else bad 'a sealed segment differs from SEALS'; fi
  fi
  python3 - "$ledger" checkpoint "$kept" <<'PY' || failed=1
import base64, glob, hashlib, json, os, sys
ledger, checkpoint, kept = sys.argv[1:4]
sha = lambda data: hashlib.sha256(data).digest()
problems = []

def root(stack):
    if not stack: return sha(b'')
    node = stack[-1][1]
    for _, left in reversed(stack[:-1]): node = sha(b'\x01' + left + node)
    return node

def head(path):
    lines = open(path, encoding='utf-8').read().split('\n')
    return int(lines[1]), base64.b64decode(lines[2])

expected = {}
for path in filter(None, [checkpoint if os.path.exists(checkpoint) else '', kept]):
    size, wanted = head(path)
    expected.setdefault(size, []).append((path, wanted))

prev, seq, stack, versions = '0' * 64, 0, [], {}
def compare():
    for path, wanted in expected.pop(seq, []):
        if root(stack) != wanted: problems.append(f'the first {seq} records are not those that {os.path.basename(path)} was signed for')
compare()
for path in sorted(glob.glob(ledger + '/log/*')):
    for line in open(path, 'rb'):
        if not line.endswith(b'\n'): break
        line = line[:-1]
        try: record = json.loads(line)
        except ValueError: problems.append(f'record {seq} in {path} is not JSON'); break
        if record.get('seq') != seq: problems.append(f'record {seq} in {path} is missing, {record.get("seq")} stands in its place'); break
        if record['prev'] != prev: problems.append(f'record {seq - 1} in {path} is not the one that record {seq} was chained to'); break
        if record['sv'] != versions.get(record['stream'], -1) + 1: problems.append(f'record {seq} breaks its stream'); break
        versions[record['stream']] = record['sv']
        leaf = sha(b'\x00' + line)
        prev, node, height = leaf.hex(), leaf, 0
        while stack and stack[-1][0] == height:
            node, height = sha(b'\x01' + stack.pop()[1] + node), height + 1
        stack.append((height, node))
        seq += 1
        compare()
    if problems: break
for size in sorted(expected): problems.append(f'record {seq} is missing: a checkpoint covers {size} records')
for problem in problems: print('BAD  ', problem)
if problems: sys.exit(1)
print(f'ok    {seq} records: chain and Merkle tree hold, root {root(stack).hex()}')
PY
  if jq -r 'select(.att) | .att[] | "\(.sha256)  cas/\(.sha256[0:2])/\(.sha256)"' "$ledger"/log/*.jsonl 2>/dev/null | sort -u >"$scratch/att" && [ -s "$scratch/att" ]; then
    links=$(find "$ledger/cas" -type l | head -1)
    if [ -n "$links" ]; then bad "$links is a symlink"
    elif (cd "$ledger" && sha256sum --quiet --strict -c "$scratch/att"); then good "$(wc -l <"$scratch/att") attachments match their records"
    else bad 'an attachment differs from its record'; fi
  fi
fi

# 4 single records with their proofs
if [ -d proofs ]; then
  python3 - checkpoint <<'PY' || failed=1
import base64, glob, hashlib, json, os, sys
sha = lambda data: hashlib.sha256(data).digest()
lines = {json.loads(line)['seq']: line.rstrip(b'\n') for line in open('records.jsonl', 'rb')}
main = open(sys.argv[1], encoding='utf-8').read()
problems, count = [], 0
for seq, line in sorted(lines.items()):
    path = f'proofs/{seq}.tlog-proof'
    if not os.path.exists(path): problems.append(f'record {seq} has no proof'); continue
    proof, _, note = open(path, encoding='utf-8').read().partition('\n\n')
    rows = proof.split('\n')
    hashes = [base64.b64decode(row) for row in rows[2:]]
    if note != main: problems.append(f'{path} is for another checkpoint'); continue
    size, wanted = int(note.split('\n')[1]), base64.b64decode(note.split('\n')[2])
    index, last, node = seq, size - 1, sha(b'\x00' + line)
    if rows[:2] != ['c2sp.org/tlog-proof@v1', f'index {seq}'] or seq >= size: problems.append(f'{path} is malformed'); continue
    valid = True
    for sibling in hashes:
        if last == 0: valid = False; break
        if index % 2 == 1 or index == last:
            node = sha(b'\x01' + sibling + node)
            while index % 2 == 0 and index != 0: index, last = index // 2, last // 2
        else: node = sha(b'\x01' + node + sibling)
        index, last = index // 2, last // 2
    if not valid or last != 0 or node != wanted: problems.append(f'{path} does not lead from record {seq} to the signed root')
    count += 1
for problem in problems: print('BAD  ', problem)
if problems: sys.exit(1)
print(f'ok    {count} records are in the signed tree')
PY
fi

# 5 files named by the exported records
if [ -f records.jsonl ] && [ -d evidence ]; then
  find evidence -type f -print0 | xargs -0 -r sha256sum | cut -c1-64 | sort -u >"$scratch/have"
  jq -r 'select(.att) | .att[].sha256' records.jsonl | sort -u >"$scratch/named"
  missing=$(comm -13 "$scratch/have" "$scratch/named" | head -1)
  extra=$(comm -23 "$scratch/have" "$scratch/named" | head -1)
  if [ -n "$missing" ]; then bad "no file has the SHA-256 $missing that a record names"
  elif [ -n "$extra" ]; then bad "a file with SHA-256 $extra is named by no record"
  else good "$(wc -l <"$scratch/named") evidence files are those that the records name"; fi
fi

# 6 existed before: timestamps on anchored checkpoints
if [ -n "$tsa_ca" ]; then
  for reply in "$ledger"/anchors/*.tsr anchors/*.tsr; do
    [ -f "$reply" ] || continue
    size=$(basename "$reply" .tsr)
    data=$ledger/checkpoints/$size
    [ -f "$data" ] || data=checkpoints/$size
    if openssl ts -verify -data "$data" -in "$reply" -CAfile "$tsa_ca" >/dev/null 2>&1; then
      good "checkpoint $size existed at $(openssl ts -reply -in "$reply" -text 2>/dev/null | sed -n 's/^Time stamp: //p')"
    else bad "the timestamp of checkpoint $size does not verify"; fi
    [ "$ledger" = . ] && break
  done
fi

[ "$failed" = 0 ] && echo 'RESULT ok' || echo 'RESULT something does not hold'
exit "$failed"
