import type { SegmentReport } from './segment-check.ts';
import { StreamTable } from './stream-table.ts';
import { Frontier } from './tree.ts';

export interface Joined {
  size: number;
  frontier: Frontier;
  /** Roots (hex) at the sizes that were asked for. */
  roots: Map<number, string>;
  tip: string;
  trailingBytes: number;
  clockSteps: number[];
}

/**
 * Puts the reports of neighbouring segments together: each must begin where the one before ended. Null when something
 * does not fit; where exactly only a walk through the whole log can tell.
 */
export function joinSegments(reports: readonly SegmentReport[], segmentRecords: number): Joined | null {
  const frontier = new Frontier();
  const roots = new Map<number, string>();
  const streams = new StreamTable();
  const clockSteps: number[] = [];
  let before: SegmentReport | null = null;
  let trailingBytes = 0;
  for (const [i, report] of reports.entries()) {
    const isLast = i === reports.length - 1;
    if (report.failed || report.firstSeq !== frontier.size) return null;
    if (!isLast && (report.records !== segmentRecords || report.trailingBytes !== 0)) return null;
    if (before && !fits(before, report)) return null;
    if (!streams.append(report.streams)) return null;
    for (const { size, levels } of report.levelsAt) {
      const at = frontier.clone();
      at.appendTail(size - report.firstSeq, levels);
      roots.set(size, at.rootHex());
    }
    if (before && report.begin && report.begin.time < before.end.time) clockSteps.push(report.firstSeq);
    clockSteps.push(...report.clockSteps);
    frontier.appendTail(report.records, report.levels);
    // A segment that was just begun holds nothing yet, and has no end of its own.
    if (report.records > 0 || !before) before = report;
    trailingBytes = report.trailingBytes;
  }
  if (!before) return null;
  return { size: frontier.size, frontier, roots, tip: before.end.tip, trailingBytes, clockSteps };
}

function fits(before: SegmentReport, report: SegmentReport): boolean {
  const { begin } = report;
  if (!begin) return report.records === 0;
  const { end } = before;
  const sameAppend = begin.tx[0] === end.tx[0] && (end.tx[0] === 0 || begin.tx[1] === end.tx[1]);
  return begin.prev === end.tip && sameAppend && begin.term >= end.term;
}
