/** What stands where a secret or an address was. */
export const REMOVED = '[removed]';

/** Field names whose values never belong into a record, whatever they look like. */
const SECRET_FIELD =
  /^(?:proxy-)?authorization$|^(?:set-)?cookie$|^(?:x-)?api[-_]?key$|^pass(?:word|wd|phrase)$|^(?:client[-_]?)?secret$|^(?:x-)?(?:amz-)?(?:access|refresh|id|auth|bearer|csrf|xsrf|session|security)?[-_]?token$|^private[-_]?key$|^credentials?$/i;

/** A cheap look before the expensive ones: most strings hold none of these. */
const SUSPECT =
  /@|:\/\/|[?&][\w-]{0,20}(?:token|key|secret|password|sig|signature)=|eyJ|bearer|basic |PRIVATE KEY|AKIA|ASIA|gh[pousr]_|xox|sk[-_]/i;

const SECRET_VALUES: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  /\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi,
  // JSON Web Tokens (RFC 7519): two base64url parts that begin with {"
  /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bgh[pousr]_[A-Za-z0-9]{20,}\b/g,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/g,
  /\bsk[-_](?:live|test|proj|ant)[-_][A-Za-z0-9_-]{10,}/g,
  // a secret as a parameter of an address
  /(?<=[?&][\w-]{0,20}(?:token|key|secret|password|sig|signature)=)[^&#\s"']+/gi,
  // user and password in a URL
  /(?<=:\/\/)[^\s/@:]+:[^\s/@]+@/g,
  // e-mail addresses
  /[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}\b/g,
];

/** Shorter than this a known secret would remove ordinary words. */
const MIN_SECRET_LENGTH = 8;

/**
 * Takes secrets and addresses out of what is about to be recorded. Works at the ledger's door, for every caller: what
 * has once been hashed into the chain cannot be taken out again. It removes rather than refuses, because a rollback must
 * not fail over a careless reason.
 */
export class Scrubber {
  readonly #known: readonly string[];

  /** `known`: values that are secret in this installation (tokens, passwords of the spec), removed wherever they occur. */
  constructor(known: readonly string[] = []) {
    this.#known = known.filter((secret) => secret.length >= MIN_SECRET_LENGTH).sort((a, b) => b.length - a.length);
  }

  isSecretField(name: string): boolean {
    return SECRET_FIELD.test(name);
  }

  text(value: string): string {
    let text = value;
    for (const secret of this.#known) if (text.includes(secret)) text = text.replaceAll(secret, REMOVED);
    if (!SUSPECT.test(text)) return text;
    for (const pattern of SECRET_VALUES) text = text.replace(pattern, REMOVED);
    return text;
  }
}
