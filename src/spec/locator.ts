import type { Position } from '../lib/error.ts';
import { type SourceLines, sourceLines } from './source-lines.ts';
import type { Tree } from './yaml-tree.ts';

export type SpecPath = readonly (string | number)[];

/** Finds the place in the file for a path such as `['services', 'service-b', 'listen']`. */
export interface Locator {
  has(path: SpecPath): boolean;
  /** Place of the value, or of the nearest thing around it that stands in the file. */
  value(path: SpecPath): Position;
  /** Place of the key, or of the nearest thing around it. */
  key(path: SpecPath): Position;
  /** Place of a character inside a text; the text's own place where it cannot be told. */
  inside(path: SpecPath, index: number | undefined): Position;
  /** A scalar as it is written, without quotes; null for maps, lists and what is not there. */
  written(path: SpecPath): string | null;
  /** Whether a text stands there, not a number, a map or nothing. */
  isText(path: SpecPath): boolean;
}

export function createLocator(root: Tree, text: string): Locator {
  const lines = sourceLines(text);
  const walk = (path: SpecPath): { tree: Tree; whole: boolean } => {
    let tree = root;
    for (const part of path) {
      const child = tree.children.get(part);
      if (!child) return { tree, whole: false };
      tree = child;
    }
    return { tree, whole: true };
  };
  const key = (path: SpecPath): Position => walk(path).tree.keyAt;
  const value = (path: SpecPath): Position => {
    const { tree, whole } = walk(path);
    return whole ? tree.at : tree.keyAt;
  };
  return {
    has: (path) => walk(path).whole,
    value,
    key,
    inside: (path, index) => inside(walk(path).tree, lines, index),
    written: (path) => {
      const { tree, whole } = walk(path);
      return whole ? tree.written : null;
    },
    isText: (path) => {
      const { tree, whole } = walk(path);
      return whole && typeof tree.value === 'string';
    },
  };
}

/** Exact only where the text stands in one line without escapes, which is checked against the file. */
function inside(tree: Tree, lines: SourceLines, index: number | undefined): Position {
  const { at, written } = tree;
  if (!index || written === null || at.line === undefined || at.column === undefined) return at;
  const start = lines(at.line).indexOf(written, at.column - 1);
  return start < 0 ? at : { ...at, column: start + index + 1 };
}

/** `services.service-b.versions.v1.endpoints[0]` */
export function showPath(path: SpecPath): string {
  return path.reduce<string>((shown, part) => {
    if (typeof part === 'number') return `${shown}[${part}]`;
    return shown === '' ? part : `${shown}.${part}`;
  }, '');
}
