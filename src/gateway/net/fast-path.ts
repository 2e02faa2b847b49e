/**
 * Reading into memory of our own costs a quarter less CPU time per request than 'data' events, and leans on what Node.js does not
 * document. `runtime-check.ts` tries it at the start; where this Node.js does it another way, the kind of socket concerned reads by
 * events instead, which is slower and always right.
 */
export const fastReads = { accepted: true, connecting: true, secure: true };

export type SocketKind = keyof typeof fastReads;

/** Sockets of this kind read by 'data' events from now on. */
export function refuseFastReads(kind: SocketKind): void {
  fastReads[kind] = false;
}

export function refusedFastReads(): SocketKind[] {
  return (Object.keys(fastReads) as SocketKind[]).filter((kind) => !fastReads[kind]);
}

/** In a process that was told what another one has found: `text` is its list, comma-separated. */
export function refuseFastReadsOf(text: string): void {
  for (const kind of Object.keys(fastReads) as SocketKind[]) if (text.split(',').includes(kind)) refuseFastReads(kind);
}
