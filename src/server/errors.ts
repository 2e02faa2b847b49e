import { defineErrors } from '../lib/error.ts';

export const apiErrors = defineErrors('api', {
  unauthorised: {
    means: 'The request carries no valid token.',
    next: 'Send `Authorization: Bearer <token>`; `davy up` prints the token, and the command line finds it by itself.',
    exit: 5,
    http: 401,
  },
  'foreign-host': {
    means: 'The Host or Origin header names another site than the one Davy serves (DNS rebinding, cross-site request).',
    next: 'Use the address that `davy up` printed.',
    exit: 5,
    http: 403,
  },
  starting: {
    means: 'Davy has just been started and still reads its ledger; what runs goes on meanwhile.',
    next: 'Ask again in a moment; the command line and the page do so by themselves.',
    exit: 6,
    http: 503,
  },
  'not-found': {
    means: 'There is no such address in the API.',
    next: 'See /api/v1/openapi.json for what there is.',
    exit: 2,
    http: 404,
  },
  'page-not-built': {
    means: 'The web page has not been built, so there is nothing to show in a browser.',
    next: 'Run `npm run setup`, then load the page again.',
    exit: 2,
    http: 503,
  },
  'invalid-request': {
    means: 'The body, a parameter or a header does not fit the schema.',
    next: 'Compare with /api/v1/openapi.json.',
    exit: 2,
    http: 400,
  },
  'not-text': {
    means:
      'The request holds what is no text: half of a surrogate pair, the character U+0000, or octets that are not UTF-8.',
    next: 'Send UTF-8 without U+0000.',
    exit: 2,
    http: 400,
  },
  'too-large': {
    means: 'The request body is larger than the limit of 64 KiB.',
    next: 'Send less; no call needs more.',
    exit: 2,
    http: 413,
  },
  'key-reused': {
    means: 'The idempotency key was used before for a different request.',
    next: 'Use a new key for a new request.',
    exit: 2,
    http: 422,
  },
  'port-in-use': {
    means: 'The port for the API and the page is taken by another process.',
    next: 'Choose another with --port, or stop what uses it.',
    exit: 2,
    http: 500,
  },
  'exposed-without-token': {
    means: 'Listening beyond the loopback interface needs a token that the operator chose.',
    next: 'Set DAVY_TOKEN (at least 32 characters) or listen on 127.0.0.1.',
    exit: 2,
    http: 500,
  },
  internal: {
    means: 'Davy failed in a way that it should not.',
    next: 'The log has the details; please report it.',
    exit: 1,
    http: 500,
  },
});
