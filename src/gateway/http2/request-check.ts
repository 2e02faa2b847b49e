import type http2 from 'node:http2';

/**
 * What is wrong with a request's pseudo-fields beyond what node:http2 refuses; null when nothing is. RFC 9113 section 8.3.1: the path of an
 * http or https URI begins with a slash (`*` of OPTIONS apart), so that no authority can stand in it; another scheme's would be free to,
 * and is refused; `host` names nobody else than `:authority` does.
 */
export function requestProblem(headers: http2.IncomingHttpHeaders): string | null {
  const { ':method': method, ':scheme': scheme, ':path': path = '', ':authority': authority, host } = headers;
  if (authority !== undefined && host !== undefined && host.toLowerCase() !== authority.toLowerCase())
    return 'host differs from :authority';
  if (method === 'CONNECT') return null;
  if (scheme !== 'http' && scheme !== 'https') return 'a scheme other than http and https';
  return path.startsWith('/') || (path === '*' && method === 'OPTIONS') ? null : 'a path that begins with no slash';
}
