/** What a controller tells its supervisor over the channel between them. */
export type ControllerMessage =
  | { kind: 'ready'; url: string; token: string; system: string; services: { name: string; listenPort: number }[] }
  /** A line for people. */
  | { kind: 'said'; line: string }
  /** Why it ends. `known`: a refusal that stays one until somebody mends it. */
  | { kind: 'failed'; known: boolean; text: string };
