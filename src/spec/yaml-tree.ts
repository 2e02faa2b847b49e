import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { DavyError, type ErrorKind, type Position, type Problem } from '../lib/error.ts';
import { setOwn } from '../lib/own.ts';
import { formatCount } from '../lib/units.ts';
import { specErrors } from './errors.ts';

/** A YAML value with the place of everything in it. Values are plain: text, numbers, booleans, lists, maps. */
export interface Tree {
  value: unknown;
  /** Where the value stands, and where its key stands (the same for list items and the root). */
  at: Position;
  keyAt: Position;
  /** Scalars as they are written, without quotes: `1.10` stays `1.10`. */
  written: string | null;
  children: Map<string | number, Tree>;
}

const treeLimits = { depth: 24, nodes: 50_000 } as const;

/** Open collections while tokens come in; above any document that `treeLimits.depth` lets through. */
const maxOpenTokens = 2 * treeLimits.depth;

const tooDeep = `Nested deeper than ${treeLimits.depth} levels`;
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);
const coreTags = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
);

/**
 * Reads one YAML 1.2 document (core schema). Anchors and aliases work; tags, directives, merge keys and further documents do not.
 * Returns what could be read together with every problem found; `tree` is null when there is nothing to go on with.
 */
export function readYaml(text: string, file: string): { tree: Tree | null; problems: Problem[] } {
  const reader = new TreeReader(text, file);
  return { tree: reader.read(), problems: reader.problems };
}

class TreeReader {
  readonly problems: Problem[] = [];
  readonly #text: string;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #anchors = new Map<string, Node>();
  /** Anchored nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  read(): Tree | null {
    const document = this.#compose();
    if (!document || this.problems.length > 0) return null;
    // One slip makes the parser stumble again and again: only its first complaint helps.
    if (document.errors[0]) this.#syntaxProblem(document.errors[0]);
    if (this.problems.length > 0 || !document.contents) return null;
    try {
      return this.#node(document.contents, this.#position(0), 0);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      return null;
    }
  }

  /** The one document, or null after a problem. Depth is bounded while tokens come in: composing recurses, tokenising does not. */
  #compose(): Document.Parsed | null {
    const parser = new Parser(this.#lines.addNewLine);
    // Uniqueness is checked by #map: the library's own check compares every pair of keys.
    const composer = new Composer({
      uniqueKeys: false,
      schema: 'core',
      version: '1.2',
      prettyErrors: false,
      logLevel: 'silent',
    });
    const documents: Document.Parsed[] = [];
    this.#lines.addNewLine(0);
    for (const token of this.#tokens(parser)) {
      if (token.type === 'directive') {
        this.#problem(specErrors['unsupported-yaml'], token.offset, 'A YAML directive (%) is not read here');
        return null;
      }
      documents.push(...composer.next(token));
      if (this.problems.length > 0) return null;
    }
    documents.push(...composer.end());
    const [first, second] = documents;
    if (second) {
      this.#problem(
        specErrors['unsupported-yaml'],
        second.range[0],
        'A second document starts here; a spec is one document',
      );
      return null;
    }
    return first ?? null;
  }

  *#tokens(parser: Parser): Generator<CST.Token> {
    for (const lexeme of new Lexer().lex(this.#text)) {
      yield* parser.next(lexeme);
      if (parser.stack.length <= maxOpenTokens) continue;
      this.#problem(specErrors['too-deep'], parser.offset, tooDeep);
      return;
    }
    yield* parser.end();
  }

  #syntaxProblem(error: YAMLError): void {
    const tab = error.code === 'TAB_AS_INDENT';
    const sentence = tab
      ? 'A tab indents this line; YAML indents with spaces only'
      : capital(error.message.split('\n')[0] ?? '').replace(/(["'])quote$/, '$1');
    this.#problem(specErrors['yaml-syntax'], error.pos[0], sentence);
  }

  #node(node: Node, keyAt: Position, depth: number): Tree {
    if (depth > treeLimits.depth) {
      this.#stop(specErrors['too-deep'], node, tooDeep);
    }
    this.#nodes += 1;
    if (this.#nodes > treeLimits.nodes) {
      this.#stop(
        specErrors['too-many-nodes'],
        node,
        `More than ${formatCount(treeLimits.nodes)} values once aliases are resolved`,
      );
    }
    if (isAlias(node)) return this.#alias(node, keyAt, depth);
    const anchored = node as Scalar | YAMLMap | YAMLSeq;
    if (anchored.anchor) this.#anchors.set(anchored.anchor, node);
    this.#refuseTag(anchored);
    this.#open.add(node);
    const tree = isMap(node)
      ? this.#map(node, keyAt, depth)
      : isSeq(node)
        ? this.#list(node, keyAt, depth)
        : this.#scalar(node, keyAt);
    this.#open.delete(node);
    return tree;
  }

  #refuseTag(node: Scalar | YAMLMap | YAMLSeq): void {
    if (!node.tag || coreTags.has(node.tag)) return;
    this.#problem(specErrors['unsupported-yaml'], startOf(node), `The tag ${node.tag} is not read here`);
  }

  #alias(node: Alias, keyAt: Position, depth: number): Tree {
    const target = this.#anchors.get(node.source);
    if (!target)
      this.#stop(specErrors['bad-alias'], node, `The alias *${node.source} has no anchor &${node.source} before it`);
    if (this.#open.has(target))
      this.#stop(specErrors['bad-alias'], node, `The alias *${node.source} stands inside its own anchor`);
    return { ...this.#node(target, keyAt, depth), keyAt };
  }

  #map(node: YAMLMap, keyAt: Position, depth: number): Tree {
    const tree = this.#leaf(node, keyAt, {});
    const value = tree.value as Record<string, unknown>;
    for (const pair of node.items) {
      if (!isPair(pair)) continue;
      const key = this.#key(pair.key, tree.children);
      if (key === null) continue;
      const at = this.#position(startOf(pair.key as Node));
      if (!pair.value) {
        this.#problem(specErrors['no-value'], startOf(pair.key as Node), `${key} has no value`);
        continue;
      }
      const child = this.#node(pair.value as Node, at, depth + 1);
      if (child.value === null) this.#problem(specErrors['no-value'], startOf(pair.key as Node), `${key} has no value`);
      tree.children.set(key, child);
      setOwn(value, key, child.value);
    }
    return tree;
  }

  /** The text of a key, or null after a problem with it. */
  #key(node: unknown, siblings: Map<string | number, Tree>): string | null {
    const offset = startOf(node as Node);
    if (isAlias(node) || !isScalar(node) || typeof node.value !== 'string') {
      const written = isScalar(node) ? ` ${node.source ?? ''}` : '';
      this.#problem(specErrors['bad-key'], offset, `The key${written} is not text`);
      return null;
    }
    const key = node.value;
    this.#refuseTag(node);
    if (node.anchor) this.#anchors.set(node.anchor, node);
    if (key === '<<') {
      this.#problem(specErrors['unsupported-yaml'], offset, 'Merge keys (<<) are not part of YAML 1.2');
    } else if (forbiddenKeys.has(key)) {
      this.#problem(specErrors['forbidden-key'], offset, `The key ${key} is reserved`);
    } else if (siblings.has(key)) {
      const first = siblings.get(key)?.keyAt.line;
      this.#problem(specErrors['duplicate-key'], offset, `${key} stands here a second time; first in line ${first}`);
    } else return key;
    return null;
  }

  #list(node: YAMLSeq, keyAt: Position, depth: number): Tree {
    const tree = this.#leaf(node, keyAt, []);
    const value = tree.value as unknown[];
    for (const [index, item] of node.items.entries()) {
      const at = this.#position(startOf(item as Node));
      const child = this.#node(item as Node, at, depth + 1);
      if (child.value === null)
        this.#problem(specErrors['no-value'], startOf(item as Node), `Entry ${index + 1} of the list has no value`);
      tree.children.set(index, child);
      value.push(child.value);
    }
    return tree;
  }

  #scalar(node: Node, keyAt: Position): Tree {
    const scalar = node as Scalar;
    const text = typeof scalar.value === 'string' ? scalar.value : null;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes such as "\0" must not reach a process, a header or a record
    if (text !== null && (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text) || !text.isWellFormed())) {
      this.#problem(
        specErrors['control-character'],
        startOf(node),
        'This text contains an escaped control character or half a character',
      );
    }
    return { ...this.#leaf(node, keyAt, scalar.value), written: text ?? scalar.source ?? null };
  }

  #leaf(node: Node, keyAt: Position, value: unknown): Tree {
    return { value, at: this.#position(startOf(node)), keyAt, written: null, children: new Map() };
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.#file, line: Math.max(1, line), column: Math.max(1, col) };
  }

  #problem(kind: ErrorKind, offset: number, sentence: string): void {
    const position = this.#position(offset);
    this.problems.push({ position, error: () => new DavyError(kind, sentence, { position }) });
  }

  #stop(kind: ErrorKind, node: Node, sentence: string): never {
    this.#problem(kind, startOf(node), sentence);
    throw new Stop();
  }
}

/** Ends the walk after a problem that makes going on pointless. */
class Stop extends Error {}

function startOf(node: Node | null | undefined): number {
  return node?.range?.[0] ?? 0;
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
