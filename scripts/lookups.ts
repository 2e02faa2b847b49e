import { join, relative } from 'node:path';
import {
  isAsExpression,
  isBinaryExpression,
  isBindingElement,
  isCallExpression,
  isComputedPropertyName,
  isElementAccessExpression,
  isForOfStatement,
  isIdentifier,
  isNonNullExpression,
  isParenthesizedExpression,
  isSatisfiesExpression,
  isVariableDeclarationList,
  type Node,
  type SourceFile,
  SyntaxKind,
} from 'typescript/unstable/ast';
import type { FileSystem } from 'typescript/unstable/fs';
import { API, type Checker, type Project, type Type, TypeFlags } from 'typescript/unstable/sync';

/** The one file that may index a record by any name. */
const GUARD = 'src/lib/own.ts';
const FIX = `use own() or setOwn() of ${GUARD}, or a Map`;

/** A place where a record is asked for a name that the type checker does not know. */
interface Lookup {
  at: Node;
  /** The expression that gives the name. */
  key: Node;
  /** What is asked; absent where a pattern takes it apart. */
  record?: Node;
}

/**
 * Every look-up by a name that is not written in the source: `record[name]`, `name in record`, `{ [name]: x } = record`.
 * Such a name may be `constructor` or `__proto__`, which every object has. What the checker knows to be one of some
 * literals passes, and so does the key of `for (const name of Object.keys(record))` where the same record is read.
 * Answers one line per place. `fs` stands in for the disk in tests.
 */
export function unguardedLookups(root: string, configs: readonly string[], fs?: FileSystem): string[] {
  const api = new API({ cwd: root, ...(fs && { fs }) });
  try {
    using snapshot = api.updateSnapshot({ openProjects: configs.map((config) => join(root, config)) });
    return snapshot.getProjects().flatMap((project) => inProject(project, root));
  } finally {
    api.close();
  }
}

function inProject(project: Project, root: string): string[] {
  return project.rootFiles.flatMap((file) => {
    const path = relative(root, file);
    const source = isProduction(path) ? project.program.getSourceFile(file) : undefined;
    return source ? inFile(source, path, project.checker) : [];
  });
}

function isProduction(path: string): boolean {
  return /^(web\/)?src\//.test(path) && !/\.(test|fixture)\.tsx?$|\/testing\//.test(path) && path !== GUARD;
}

function inFile(source: SourceFile, path: string, checker: Checker): string[] {
  const lookups: Lookup[] = [];
  const visit = (node: Node): void => {
    const found = lookupIn(node);
    if (found && !isKeyOfLoop(found, source)) lookups.push(found);
    node.forEachChild(visit);
  };
  visit(source);
  if (lookups.length === 0) return [];
  const types = checker.getTypeAtLocation(lookups.map(({ key }) => key));
  return lookups
    .filter((_, i) => mayBeAnyName(types[i], checker))
    .map(({ at }) => {
      const line = source.text.slice(0, at.getStart(source)).split('\n').length;
      return `${path}:${line}: ${textOf(at, source)} looks up a name that came from outside; ${FIX}`;
    });
}

function lookupIn(node: Node): Lookup | null {
  if (isElementAccessExpression(node))
    return { at: node, key: beneath(node.argumentExpression), record: beneath(node.expression) };
  if (isBinaryExpression(node) && node.operatorToken.kind === SyntaxKind.InKeyword)
    return { at: node, key: beneath(node.left), record: beneath(node.right) };
  if (isBindingElement(node) && node.propertyName && isComputedPropertyName(node.propertyName))
    return { at: node, key: beneath(node.propertyName.expression) };
  return null;
}

/** Without parentheses and what only tells the checker something: a cast does not make a name a known one. */
function beneath(node: Node): Node {
  const wrapped =
    isParenthesizedExpression(node) || isAsExpression(node) || isNonNullExpression(node) || isSatisfiesExpression(node);
  return wrapped ? beneath(node.expression) : node;
}

/** Reading `record[name]` inside `for (const name of Object.keys(record))`. */
function isKeyOfLoop({ at, key, record }: Lookup, source: SourceFile): boolean {
  if (!record || !isIdentifier(key) || !isElementAccessExpression(at) || isWritten(at)) return false;
  for (let node = at.parent; node; node = node.parent) {
    if (!isForOfStatement(node) || !isVariableDeclarationList(node.initializer)) continue;
    const [declared] = node.initializer.declarations;
    if (!declared || textOf(declared.name, source) !== key.text) continue;
    return (
      isCallExpression(node.expression) && textOf(node.expression, source) === `Object.keys(${textOf(record, source)})`
    );
  }
  return false;
}

function isWritten(node: Node): boolean {
  const { parent } = node;
  if (isNonNullExpression(parent) || isParenthesizedExpression(parent)) return isWritten(parent);
  if (!isBinaryExpression(parent) || parent.left !== node) return false;
  const { kind } = parent.operatorToken;
  return kind >= SyntaxKind.FirstAssignment && kind <= SyntaxKind.LastAssignment;
}

function mayBeAnyName(type: Type | undefined, checker: Checker): boolean {
  if (!type) return true;
  if (type.isUnionType() || type.isIntersectionType())
    return (type.getTypes() ?? []).some((part) => mayBeAnyName(part, checker));
  if (type.isTypeParameter()) return mayBeAnyName(checker.getConstraintOfTypeParameter(type), checker);
  if (type.isIndexType()) return mayBeAnyName(checker.getBaseConstraintOfType(type), checker);
  const open =
    TypeFlags.String | TypeFlags.Any | TypeFlags.Unknown | TypeFlags.TemplateLiteral | TypeFlags.StringMapping;
  return (type.flags & open) !== 0;
}

function textOf(node: Node, source: SourceFile): string {
  return source.text.slice(node.getStart(source), node.end).replace(/\s+/g, ' ');
}
