/** One subject alternative name of a certificate. */
export interface SubjectName {
  /** `DNS`, `URI`, `IP Address`, `email`, …: as OpenSSL says it. */
  kind: string;
  name: string;
}

/**
 * Takes apart what Node.js gives as `subjectaltname`: `KIND:name` entries with `, ` between them. A name with a comma, a quote or another
 * special octet is written as a JSON string (CVE-2021-44532): what stands inside of it is never read as a further entry. A text that does not
 * read as such a list names nobody.
 */
export function subjectNames(text: string): SubjectName[] {
  const entry = /([A-Za-z][A-Za-z0-9 ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  const names: SubjectName[] = [];
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text);
    if (match === null) return [];
    const [, kind = '', written = ''] = match;
    const name = written.startsWith('"') ? unquoted(written) : written;
    if (name === null) return [];
    names.push({ kind, name });
  }
  return names;
}

function unquoted(written: string): string | null {
  try {
    return String(JSON.parse(written));
  } catch {
    return null;
  }
}
