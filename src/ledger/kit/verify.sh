#!/usr/bin/env bash
# Checks evidence exported from Davy, or a whole copied ledger folder, without any of Davy's code:
# bash, coreutils, openssl (1.1.1 or newer), jq and python3's standard library.
#
#   ./verify.sh [FOLDER] [--checkpoint FILE] [--key FILE] [--witness VKEY]... [--tsa-ca FILE]
#
# FOLDER         an export or a ledger folder; default: the folder of this script
# --checkpoint   a checkpoint that you kept from earlier: the ledger must still contain it
# --key          the ledger's public key (PEM) as you know it, of today or from before a rotation
# --witness      verifier key of a witness that you trust: says what it has cosigned, and when
# --tsa-ca       certificates of the time-stamping authority, to check anchors/*.tsr
#
# Exit: 0 everything holds, 1 something does not, 2 usage.
set -uo pipefail

folder=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
kept=''
known_key=''
witnesses=()
tsa_ca=''
while [ $# -gt 0 ]; do
  case $1 in
    --checkpoint | --key | --witness | --tsa-ca) [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; } ;;
  esac
  case $1 in
    --checkpoint) kept=$(realpath -- "$2"); shift 2 ;;
    --key) known_key=$(realpath -- "$2"); shift 2 ;;
    --witness) witnesses+=("$2"); shift 2 ;;
    --tsa-ca) tsa_ca=$(realpath -- "$2"); shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) folder=$(realpath -- "$1"); shift ;;
  esac
done
for file in "$kept" "$known_key" "$tsa_ca"; do
  [ -z "$file" ] || [ -r "$file" ] || { echo "cannot read $file" >&2; exit 2; }
done
cd -- "$folder" || exit 2
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
failed=0
good() { printf 'ok    %s\n' "$*"; }
bad() { printf 'BAD   %s\n' "$*"; failed=1; }
ledger=.
[ -d ledger/log ] && ledger=ledger
anchored=.
[ -d checkpoints ] || anchored=$ledger

# key_at SIZE: the key that must sign a checkpoint of this size
key_at() {
  local size found=''
  for size in $(ls "$scratch/keys" | sort -n); do
    [ "${size%.pem}" -le "$1" ] && found=$scratch/keys/$size
  done
  printf '%s' "$found"
}
same_key() {
  openssl pkey -pubin -in "$1" -outform DER >"$scratch/a" 2>/dev/null && openssl pkey -pubin -in "$2" -outform DER >"$scratch/b" 2>/dev/null &&
    cmp -s "$scratch/a" "$scratch/b"
}
size_of() { sed -n 2p "$1" | grep -E '^[0-9]{1,16}$' || echo 0; }

# signature NOTE NAME [VKEY]: the text that was signed and the signature, into scratch; prints when a witness signed
signature() {
  python3 - "$scratch" "$@" <<'PY'
import base64, datetime, sys
scratch, path, name, *vkey = sys.argv[1:]
text, _, signatures = open(path, 'rb').read().rpartition(b'\n\n')
text += b'\n'
for line in signatures.decode().splitlines():
    dash, by, encoded = line.split(' ')
    raw = base64.b64decode(encoded)
    if dash != '\u2014' or by != name: continue
    if vkey:  # C2SP tlog-cosignature: key id, 8 bytes of time, Ed25519 over a header and the text
        if raw[:4].hex() != vkey[0].split('+')[1] or len(raw) != 76: continue
        when = int.from_bytes(raw[4:12], 'big')
        text = b'cosignature/v1\ntime %d\n' % when + text
        print(datetime.datetime.fromtimestamp(when, datetime.timezone.utc).isoformat())
        raw = raw[8:]
    open(scratch + '/text', 'wb').write(text)
    open(scratch + '/signature', 'wb').write(raw[4:])
    sys.exit(0)
sys.exit(1)
PY
}
verified_by() { openssl pkeyutl -verify -pubin -inkey "$1" -rawin -in "$scratch/text" -sigfile "$scratch/signature" >/dev/null 2>&1; }
# signed NOTE: by the ledger's key of that size?
signed() {
  local key
  key=$(key_at "$(size_of "$1")")
  [ -n "$key" ] && signature "$1" "$(head -1 "$1")" && verified_by "$key"
}

# 1 every file of an export is what it was
if [ -f SHA256SUMS ]; then
  if sha256sum --quiet --strict -c SHA256SUMS; then good 'every file has the SHA-256 that SHA256SUMS states'
  else bad 'a file differs from SHA256SUMS'; fi
fi

# 2 the keys: record 0 names the first one, every later one is signed by the one before
key=log-key.pem
mkdir -p "$scratch/keys"
[ -f "$key" ] && printf 'key   SHA-256 of log-key.pem: %s (compare it with the one you were given)\n' "$(sha256sum <"$key" | cut -c1-64)"
python3 - "$ledger" "$scratch" <<'PY' || failed=1
import base64, glob, json, os, subprocess, sys
ledger, scratch = sys.argv[1:3]
lines = []
for path in ['keys.jsonl'] if os.path.exists('keys.jsonl') else sorted(glob.glob(ledger + '/log/*')):
    lines += [line for line in open(path, 'rb') if b'"type":"ledger.opened"' in line or b'"type":"ledger.key-rotated"' in line]

def pem_of(vkey, size):
    raw = base64.b64decode(vkey.split('+', 2)[2])[1:]
    der = bytes.fromhex('302a300506032b6570032100') + raw
    path = f'{scratch}/keys/{size}.pem'
    text = '-----BEGIN PUBLIC KEY-----\n' + base64.b64encode(der).decode() + '\n-----END PUBLIC KEY-----\n'
    open(path, 'w').write(text)
    return path

old = origin = None
for line in lines:
    try: record = json.loads(line)
    except ValueError: sys.exit('BAD   a record about the keys is not JSON')
    data = record['data']
    if record['type'] == 'ledger.opened' and record['seq'] == 0:
        origin, old = data['origin'], pem_of(data['vkey'], 0)
    elif record['type'] == 'ledger.key-rotated' and old:
        open(scratch + '/text', 'w').write(f'davy key rotation\n{origin}\n{data["vkey"]}\n')
        open(scratch + '/signature', 'wb').write(base64.b64decode(data['signature']))
        check = ['openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', old, '-rawin', '-in', scratch + '/text', '-sigfile', scratch + '/signature']
        if subprocess.run(check, capture_output=True).returncode:
            sys.exit(f'BAD   record {record["seq"]} changes the key without a signature of the key before')
        old = pem_of(data['vkey'], record['seq'] + 1)
        print(f'ok    record {record["seq"]} changes the key, signed by the key before: the new one signs from {record["seq"] + 1} records on')
if old is None: print('BAD   no record names the key of this ledger'); sys.exit(1)
PY
[ -f checkpoint ] || bad 'there is no checkpoint: nothing is signed'

# 3 who signed
if [ -f checkpoint ]; then
  size=$(size_of checkpoint)
  if [ ! -f "$key" ] || ! same_key "$key" "$(key_at "$size")"; then bad "log-key.pem is not the key that the records name for $size records"
  elif signed checkpoint; then good "the checkpoint of $size records is signed by log-key.pem"
  else bad 'the signature of the checkpoint does not verify'; fi
fi
if [ -n "$kept" ]; then
  if signed "$kept"; then good "the kept checkpoint of $(size_of "$kept") records is signed by the key of that time"
  else bad 'the kept checkpoint is not signed by a key of this ledger'; fi
fi
if [ -n "$known_key" ]; then
  from=''
  for one in "$scratch"/keys/*.pem; do same_key "$known_key" "$one" && from=$(basename "$one" .pem); done
  if [ -n "$from" ]; then good "the key that you know is the ledger's from $from records on"
  else bad 'the key that you know is none of this ledger'; fi
fi
for vkey in "${witnesses[@]+"${witnesses[@]}"}"; do
  name=${vkey%%+*}
  newest=''
  python3 -c 'import base64,sys; print("-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(sys.argv[1].split("+", 2)[2])[1:]).decode() + "\n-----END PUBLIC KEY-----")' "$vkey" >"$scratch/witness.pem" 2>/dev/null
  for note in checkpoint $(ls "$anchored/checkpoints" 2>/dev/null | grep -E '^[0-9]+$' | sort -rn | sed "s|^|$anchored/checkpoints/|"); do
    at=$(signature "$note" "$name" "$vkey") && verified_by "$scratch/witness.pem" && signed "$note" || continue
    newest=$(size_of "$note")
    break
  done
  if [ -z "$newest" ]; then bad "no checkpoint here carries a cosignature of $name"
  elif [ -d "$ledger/log" ] || [ "$newest" = "$(size_of checkpoint)" ]; then
    good "$name has cosigned the first $newest records at $at: nobody can have changed those since"
  else
    good "$name has cosigned a checkpoint of $newest records at $at"
    printf 'note  the records here are proven by the checkpoint of %s records, which it had not cosigned\n' "$(size_of checkpoint)"
  fi
done

# 4 whole ledger: seals, chain, tree, attachments
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
anchored = [path for path in glob.glob('checkpoints/*') or glob.glob(ledger + '/checkpoints/*') if os.path.basename(path).isdigit()]
for path in filter(None, [checkpoint if os.path.exists(checkpoint) else '', kept, *anchored]):
    try: size, wanted = head(path)
    except (ValueError, IndexError): problems.append(f'{path} is no checkpoint'); continue
    expected.setdefault(size, []).append((path, wanted))

exported = {}
if os.path.exists('records.jsonl'):
    for line in open('records.jsonl', 'rb'): exported[json.loads(line)['seq']] = line.rstrip(b'\n')
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
        if exported.pop(seq, line) != line: problems.append(f'record {seq} in records.jsonl is not the one in the log'); break
        leaf = sha(b'\x00' + line)
        prev, node, height = leaf.hex(), leaf, 0
        while stack and stack[-1][0] == height:
            node, height = sha(b'\x01' + stack.pop()[1] + node), height + 1
        stack.append((height, node))
        seq += 1
        compare()
    if problems: break
for size in sorted(expected): problems.append(f'record {seq} is missing: a checkpoint covers {size} records')
for left in sorted(exported): problems.append(f'record {left} in records.jsonl is not in the log')
for problem in problems[:20]: print('BAD  ', problem)
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

# 5 single records with their proofs, and those about the keys
if [ -d proofs ]; then
  python3 - checkpoint <<'PY' || failed=1
import base64, glob, hashlib, json, os, sys
sha = lambda data: hashlib.sha256(data).digest()
lines = {}
for name in ['keys.jsonl', 'records.jsonl']:
    if os.path.exists(name): lines.update({json.loads(line)['seq']: line.rstrip(b'\n') for line in open(name, 'rb')})
main = open(sys.argv[1], encoding='utf-8').read()
problems = []
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
count = sum(1 for line in open('records.jsonl', 'rb'))
for problem in problems: print('BAD  ', problem)
if problems: sys.exit(1)
print(f'ok    {count} records are in the signed tree')
PY
fi

# 6 files named by the exported records
if [ -f records.jsonl ] && [ -d evidence ]; then
  find evidence -type f -print0 | xargs -0 -r sha256sum | cut -c1-64 | sort -u >"$scratch/have"
  jq -r 'select(.att) | .att[].sha256' records.jsonl | sort -u >"$scratch/named"
  missing=$(comm -13 "$scratch/have" "$scratch/named" | head -1)
  extra=$(comm -23 "$scratch/have" "$scratch/named" | head -1)
  if [ -n "$missing" ]; then bad "no file has the SHA-256 $missing that a record names"
  elif [ -n "$extra" ]; then bad "a file with SHA-256 $extra is named by no record"
  else good "$(wc -l <"$scratch/named") evidence files are those that the records name"; fi
fi

# 7 existed before: timestamps on anchored checkpoints
if [ -n "$tsa_ca" ]; then
  for reply in "$anchored"/anchors/*.tsr; do
    [ -f "$reply" ] || { bad 'there is no timestamp here'; break; }
    size=$(basename "$reply" .tsr)
    data=$anchored/checkpoints/$size
    if openssl ts -verify -data "$data" -in "$reply" -CAfile "$tsa_ca" >/dev/null 2>&1; then
      good "checkpoint $size existed at $(openssl ts -reply -in "$reply" -text 2>/dev/null | sed -n 's/^Time stamp: //p')"
    else bad "the timestamp of checkpoint $size does not verify"; fi
  done
fi

[ "$failed" = 0 ] && echo 'RESULT ok' || echo 'RESULT something does not hold'
exit "$failed"
