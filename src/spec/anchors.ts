/** Witnesses and timestamps of the ledger's checkpoints, as the rest of Davy reads them. */
export interface AnchorSpec {
  witnesses: { url: string; vkey: string }[];
  timestamps: { url: string; everyMs: number } | null;
}

/** Defaults as they would be written in the file. */
export const anchorDefaults = { timestampEvery: '10m' };
