import type { Page } from 'playwright-core';

/** Frames of a scroll from top to bottom, and what the page's thread did in them. */
export interface Scrolled {
  p50Ms: number;
  p95Ms: number;
  worstMs: number;
  /** Work of the page's thread per frame (script, style, layout, paint), ms. */
  workMs: number;
  rows: number;
  last: string | null;
}

const FRAMES = 240;

/** Moves `.scroller` by the same share of its height in every frame and asks the browser how long each took. */
export async function measureScroll(page: Page): Promise<Scrolled> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busy = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics');
    return (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0) * 1_000;
  };
  const before = await busy();
  const frames = (await page.evaluate(`(async () => {
    const box = document.querySelector('.scroller');
    const frames = [];
    const end = box.scrollHeight - box.clientHeight;
    let before = await new Promise(requestAnimationFrame);
    for (let i = 1; i <= ${FRAMES}; i++) {
      box.scrollTop = end * i / ${FRAMES};
      const now = await new Promise(requestAnimationFrame);
      frames.push(now - before);
      before = now;
    }
    return frames;
  })()`)) as number[];
  const workMs = ((await busy()) - before) / FRAMES;
  await session.detach();
  await page.waitForTimeout(300);
  frames.sort((a, b) => a - b);
  const p = (share: number): number => frames[Math.floor(frames.length * share)] ?? 0;
  return {
    ...{ p50Ms: p(0.5), p95Ms: p(0.95), worstMs: p(0.999), workMs },
    rows: await page.locator('.row').count(),
    last: await page.locator('.row').last().getAttribute('aria-posinset'),
  };
}

/**
 * The limit: a list of the same size whose rows say nothing but their number, without a framework. `count` rows of `rowPx` each.
 */
export function emptyList(count: number, rowPx: number): string {
  return `<!doctype html><title>empty list</title><style>
.scroller{height:660px;overflow:auto;contain:strict}.rows{position:relative;overflow:hidden}
.row{position:absolute;left:0;right:0;top:0;height:${rowPx}px;border-bottom:1px solid #ddd}</style>
<section class="scroller"><div class="rows"></div></section><script>
const box = document.querySelector('.scroller'), rows = document.querySelector('.rows');
const whole = ${count} * ${rowPx}, shown = Math.min(whole, 8e6);
rows.style.height = shown + 'px';
function draw() {
  const top = box.scrollTop, height = box.clientHeight;
  const offset = Math.min(top * (whole - height) / (shown - height), whole - height);
  const first = Math.max(0, Math.floor(offset / ${rowPx}) - 4);
  const last = Math.min(${count}, Math.ceil((offset + height) / ${rowPx}) + 4);
  while (rows.children.length < last - first) rows.append(Object.assign(document.createElement('div'), { className: 'row' }));
  while (rows.children.length > last - first) rows.lastChild.remove();
  for (let i = first; i < last; i++) {
    const row = rows.children[i - first];
    row.textContent = i;
    row.ariaPosInSet = i + 1;
    row.style.transform = 'translateY(' + (i * ${rowPx} - offset + top) + 'px)';
  }
}
box.addEventListener('scroll', draw);
draw();
</script>`;
}
