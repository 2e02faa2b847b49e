/** The lines of a file by number, counted from 1; empty beyond its end. The text is split once, however many are asked for. */
export type SourceLines = (line: number) => string;

export function sourceLines(text: string): SourceLines {
  let lines: string[] | null = null;
  return (line) => {
    lines ??= text.split(/\r?\n/);
    return lines[line - 1] ?? '';
  };
}
