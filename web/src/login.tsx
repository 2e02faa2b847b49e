import { useState } from 'preact/hooks';
import { call, type Problem, problemOf } from './api.ts';
import { loggedIn, refresh } from './live.ts';

async function login(token: string): Promise<void> {
  await call('POST', '/api/v1/session', { token });
}

/** A link that `davy up` printed carries the token behind the #, which no server ever sees; it is used up at once. */
export async function tradeFragment(): Promise<void> {
  const token = /^#token=([\x21-\x7e]{1,512})$/.exec(location.hash)?.[1];
  if (token === undefined) return;
  history.replaceState(null, '', location.pathname + location.search);
  await login(decodeURIComponent(token)).catch(() => {});
}

export async function logout(): Promise<void> {
  await call('DELETE', '/api/v1/session').catch(() => {});
  loggedIn.value = false;
}

export function Login() {
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token');
    try {
      await login(String(token).trim());
      loggedIn.value = null;
      await refresh();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <main class="login">
      <form class="card" onSubmit={submit}>
        <h1>
          <img src="/lamp.svg" alt="" width="28" height="28" /> Davy
        </h1>
        <label>
          Token
          {/* biome-ignore lint/a11y/noAutofocus: it is the one field of this page */}
          <input name="token" type="password" required maxLength={512} autoComplete="current-password" autoFocus />
        </label>
        {problem && (
          <p class="problem" role="alert">
            {problem.sentence} {problem.next}
          </p>
        )}
        <button type="submit" class="primary">
          Log in
        </button>
        <p class="muted">
          <code>davy up</code> prints the token, and a link that logs in by itself.
        </p>
      </form>
    </main>
  );
}
