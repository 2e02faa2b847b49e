import { computed, signal } from '@preact/signals';

/** Where the page is: the whole state that a link can carry stands in the address. */
const address = signal(location.pathname + location.search);

export const path = computed(() => address.value.split('?', 1)[0] ?? '/');
export const query = computed(() => new URLSearchParams(address.value.split('?', 2)[1] ?? ''));

addEventListener('popstate', () => {
  address.value = location.pathname + location.search;
});

export function go(to: string): void {
  history.pushState(null, '', to);
  address.value = to;
  scrollTo(0, 0);
}

/** Changes one value in the address without a new entry in the history; an empty one goes away. */
export function setQuery(name: string, value: string): void {
  const next = new URLSearchParams(query.value);
  if (value === '') next.delete(name);
  else next.set(name, value);
  const text = next.toString();
  const to = path.value + (text ? `?${text}` : '');
  history.replaceState(null, '', to);
  address.value = to;
}

/** Links work as links (new tab, copy); a plain click stays in the page. */
export function onLink(event: MouseEvent): void {
  const link = (event.target as Element).closest?.('a[href^="/"]');
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.hasAttribute('download')) return;
  event.preventDefault();
  go(link.getAttribute('href') ?? '/');
}
