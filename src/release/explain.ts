import { formatCount, formatDurationMs, formatPoints, formatShare, formatWeightBp } from '../lib/units.ts';
import type { ReleaseView } from './view.ts';

/** A release explained: the decision in a sentence first, then what it rests on. */
export interface Explanation {
  sentence: string;
  /** Label and value, in reading order. */
  facts: [string, string][];
  /** One row per metric: name, canary, stable, evidence, weight, what it says. */
  evidence: string[][];
  /** What would change the verdict, or what happens next. */
  next: string;
}

export function explainRelease(view: ReleaseView): Explanation {
  return { sentence: sentenceOf(view), facts: factsOf(view), evidence: evidenceOf(view), next: nextOf(view) };
}

function sentenceOf(view: ReleaseView): string {
  const what = `${view.service} ${view.version}`;
  switch (view.phase) {
    case 'requested':
      return `${what} waits for its instances to be ready; no traffic reaches it.`;
    case 'completed':
      return ended(`${what} is the stable version: ${view.endReason}`);
    case 'rolled-back':
      return ended(`${what} was rolled back (${view.rollbackCause}): ${view.endReason}`);
    case 'cancelled':
      return ended(`${what} was cancelled: ${view.endReason}`);
    default:
      return inFlightSentence(view, what);
  }
}

/** Reasons of the judge are sentences already, those of people often not. */
function ended(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

function inFlightSentence(view: ReleaseView, what: string): string {
  const at = `${what} gets ${formatWeightBp(view.weightBp)} of the traffic`;
  if (view.paused) return `${at} and is paused by ${view.paused.by}: ${view.paused.reason}.`;
  if (view.held) return `${at} and is held: ${view.held.reason}.`;
  return `${at}. ${view.judgement?.reason ?? 'The first look is still to come.'}`;
}

function factsOf(view: ReleaseView): [string, string][] {
  const facts: [string, string][] = [
    ['release', view.id],
    ['verdict', view.verdict],
    ['asked for', `by ${view.requestedBy} at ${new Date(view.requestedAtMs).toISOString()}: ${view.reason}`],
    ['steps', view.steps.map((step, index) => stepText(step.weightBp, index, view)).join(' → ')],
    ['canary', canaryText(view)],
  ];
  if (view.step >= 0 && view.endedAtMs === null) {
    const holdMs = view.steps[view.step]?.holdMs ?? 0;
    facts.push([
      'observed at this step',
      `${formatDurationMs(wholeSeconds(view.heldMs))} of ${formatDurationMs(holdMs)}`,
    ]);
  }
  if (view.judgement) {
    const { total, threshold } = view.judgement.evidence;
    facts.push(['evidence of harm', `${evidenceText(total)}; rolls back at ${evidenceText(threshold)}`]);
    const bound = view.judgement.promote.harmBoundShare;
    if (bound !== null) facts.push(['proven', `excess errors below ${formatPoints(bound)}`]);
  }
  if (view.secondsToZero !== null) {
    facts.push([
      'to zero',
      `${view.secondsToZero.toFixed(1)} s from the first failed request to the last one it received`,
    ]);
  }
  if (view.drain !== null) facts.push([`left on ${view.drain.version}`, drainText(view.drain)]);
  return facts;
}

function canaryText({ canaryRequests, failedRequests, unanswered }: ReleaseView): string {
  const text = `${formatCount(canaryRequests)} requests, ${formatCount(failedRequests)} failed`;
  return unanswered === null || unanswered === 0 ? text : `${text}, ${formatCount(unanswered)} not answered yet`;
}

/** What outlived the traffic: requests, streams and WebSockets, by how they ended. */
function drainText({ open, ended, cut, unseen, cutInMs, seconds }: NonNullable<ReleaseView['drain']>): string {
  const parts = [
    ...(open > 0 ? [`${formatCount(open)} still open, cut in ${formatDurationMs(wholeSeconds(cutInMs ?? 0))}`] : []),
    `${formatCount(ended)} ended by themselves`,
    `${formatCount(cut)} were cut`,
    ...(unseen > 0 ? [`${formatCount(unseen)} were not seen to end`] : []),
  ];
  return seconds === null ? parts.join(', ') : `${parts.join(', ')}; the last after ${seconds.toFixed(1)} s`;
}

/** Milliseconds say nothing to a person who waits; below a second they are all there is. */
function wholeSeconds(ms: number): number {
  return ms < 1000 ? ms : Math.round(ms / 1000) * 1000;
}

function stepText(weightBp: number, index: number, view: ReleaseView): string {
  const text = formatWeightBp(weightBp);
  return index === view.step && view.endedAtMs === null ? `[${text}]` : text;
}

function evidenceOf(view: ReleaseView): string[][] {
  return (view.judgement?.evidence.metrics ?? []).map((metric) => [
    metric.named ? `${metric.name} *` : metric.name,
    rateText(metric.canary),
    rateText(metric.stable),
    evidenceText(metric.evidence),
    formatShare(metric.weight, 0),
    metric.says,
  ]);
}

function rateText(arm: { requests: number; events: number } | null): string {
  if (!arm || arm.requests === 0) return '-';
  return `${formatCount(arm.events)} of ${formatCount(arm.requests)} (${formatShare(arm.events / arm.requests, 2)})`;
}

/** Evidence spans hundreds of decades: three digits, then powers of ten. */
export function evidenceText(value: number): string {
  if (value >= 10_000) return value.toExponential(1);
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function nextOf(view: ReleaseView): string {
  if (view.phase === 'rolled-back')
    return `Fix it and release a new version; ${view.version} is not tried again by itself.`;
  if (view.endedAtMs !== null) return 'Nothing: the release has ended.';
  if (view.phase === 'requested') return 'The first step follows when every instance is ready.';
  if (view.paused) return `\`davy resume ${view.id} --reason …\` lets it go on.`;
  if (view.held) return `It goes on by itself when the cause ends; \`davy promote\` or \`davy rollback\` decide now.`;
  const promote = view.judgement?.promote;
  if (promote && !promote.passed && promote.needRequests !== null) {
    const time =
      promote.needMs === null ? '' : `, about ${formatDurationMs(wholeSeconds(promote.needMs))} at current traffic`;
    return `The next step needs about ${formatCount(promote.needRequests)} more canary requests${time}.`;
  }
  return 'The next step follows when the hold time is over and the evidence suffices.';
}
