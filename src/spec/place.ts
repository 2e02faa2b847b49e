import type { Position } from '../lib/error.ts';
import { readSpecText } from './load.ts';
import { createLocator, type SpecPath } from './locator.ts';
import { readYaml } from './yaml-tree.ts';

/** Where a value stands in a spec file, for errors that show only when the spec is run. Null when it cannot be told. */
export async function placeInSpec(file: string, path: SpecPath): Promise<Position | null> {
  const text = await readSpecText(file).catch(() => null);
  const tree = text === null ? null : readYaml(text, file).tree;
  return text === null || !tree ? null : createLocator(tree, text).value(path);
}
