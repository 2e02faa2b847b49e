import { defineErrors } from '../lib/error.ts';

export const ledgerErrors = defineErrors('ledger', {
  'bad-event': {
    means: 'An event cannot be written: a name, a value or a count is outside what a record may hold.',
    next: 'Correct the value at the position named; records hold I-JSON only (RFC 7493).',
    exit: 1,
    http: 422,
  },
  'bad-name': {
    means: 'The name of an attachment is a path, is not UTF-8 text, or holds control characters.',
    next: 'Give the file a plain name without / or \\ and try again.',
    exit: 2,
    http: 422,
  },
  'record-too-large': {
    means: 'A record would be longer than 65,535 bytes, the limit of a log entry.',
    next: 'Put the large part into a file and attach it; the record then names its hash.',
    exit: 1,
    http: 413,
  },
  conflict: {
    means: 'A stream has moved on since the caller read it (expected version does not match).',
    next: 'Read the stream again and decide anew.',
    exit: 1,
    http: 409,
  },
  'queue-full': {
    means: 'More appends wait for the disk than the ledger holds in memory.',
    next: 'Wait for the disk to catch up; check it for other heavy writers.',
    exit: 1,
    http: 503,
  },
  'disk-full': {
    means: 'The disk is full. Promotions stop; lowering a weight still works from the reserve.',
    next: 'Free space on the volume; the ledger continues by itself.',
    exit: 1,
    http: 507,
  },
  poisoned: {
    means: 'A write or flush failed, so nobody knows what the disk holds; the ledger takes no more records.',
    next: 'Restart Davy: it re-reads the ledger, keeps every acknowledged record and continues.',
    exit: 1,
    http: 503,
  },
  closed: {
    means: 'The ledger was closed.',
    next: 'Open it again.',
    exit: 1,
    http: 503,
  },
  locked: {
    means: 'Another process writes this ledger.',
    next: 'Stop the other process, or use another --data folder.',
    exit: 1,
    http: 409,
  },
  fenced: {
    means: 'A newer writer took the ledger over, so this one stopped before writing.',
    next: 'Stop one of the two controllers; only one may run on a data folder.',
    exit: 1,
    http: 409,
  },
  'remote-disk': {
    means: 'The ledger lies on a network or object-store mount, where a flush proves nothing.',
    next: 'Put the data folder on a local or block volume.',
    exit: 2,
    http: 422,
  },
  tampered: {
    means: 'The ledger is not what was written: a record, a segment or a link between them does not match.',
    next: 'Run `davy evidence verify` for the first bad record, and restore the ledger from a copy that verifies.',
    exit: 1,
    http: 500,
  },
  truncated: {
    means: 'The ledger is shorter than a checkpoint that was published for it.',
    next: 'Restore the missing records; `davy evidence continue --accept-loss` starts a new ledger that records the loss.',
    exit: 1,
    http: 500,
  },
  'clock-stepped-back': {
    means: 'A record claims an earlier time than the record before it: the clock of the machine stepped back.',
    next: 'Check the time service of the machine; the order of the records is not affected.',
    exit: 1,
    http: 500,
  },
  'bad-checkpoint': {
    means: 'A checkpoint is malformed or its signature does not verify.',
    next: 'Fetch the checkpoint again; if it stays so, treat the ledger as altered.',
    exit: 1,
    http: 422,
  },
  'checkpoint-origin': {
    means: 'A checkpoint belongs to another ledger (its origin differs).',
    next: 'Use the checkpoint of this ledger; its origin stands in LEDGER.json.',
    exit: 1,
    http: 422,
  },
  'not-a-ledger': {
    means: 'The folder named holds no ledger.',
    next: 'Name the folder that has LEDGER.json and log/ in it; by default it is .davy/ledger beside the spec.',
    exit: 2,
    http: 404,
  },
  'missing-tile': {
    means: 'A tile of the Merkle tree is missing or has the wrong length.',
    next: 'Tiles are derived: open the ledger once for writing, or verify it, and they are made again.',
    exit: 1,
    http: 404,
  },
  'unknown-format': {
    means: 'The ledger has a format version or setting that this program does not know.',
    next: 'Use the Davy version that wrote it, or a newer one.',
    exit: 2,
    http: 422,
  },
  'bad-key': {
    means: 'The signing key is missing, unreadable, open to other users, or not the one that the ledger names.',
    next: 'Restore the key file beside the ledger with mode 0600.',
    exit: 1,
    http: 500,
  },
});
