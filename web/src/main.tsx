import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './live.ts';
import { tradeFragment } from './login.tsx';

const root = document.getElementById('page');
if (root) {
  await tradeFragment();
  render(<App />, root);
  start();
}
