/** Where the screen is drawn: a terminal, a file or a pipe. */
export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** A block at the bottom that is redrawn in place, and lines that stay above it. Without a terminal all text just follows. */
export class LiveScreen {
  readonly #output: ScreenOutput;
  #block: readonly string[] = [];

  constructor(output: ScreenOutput) {
    this.#output = output;
  }

  /** Whether the block is redrawn in place. */
  get inPlace(): boolean {
    return this.#output.isTTY === true;
  }

  /** Replaces the block. */
  draw(block: string): void {
    const lines = block.split("\n");
    if (this.inPlace) {
      this.#output.write(`${this.#erase()}${lines.map((line) => this.#fit(line)).join("\n")}\n`);
      this.#block = lines;
    } else {
      this.#output.write(`${block}\n\n`);
    }
  }

  /** Writes a line that stays, above the block. */
  say(line: string): void {
    const below = this.#block.map((shown) => `${this.#fit(shown)}\n`).join("");
    this.#output.write(`${this.#erase()}${line}\n${below}`);
  }

  #erase(): string {
    return this.#block.length === 0 ? "" : `\x1b[${this.#block.length}A\x1b[0J`;
  }

  /** A line that wraps would be counted as one and erased as one. Lines with colors are cut generously. */
  #fit(line: string): string {
    const columns = this.#output.columns;
    if (columns === undefined || visibleLength(line) <= columns) return line;
    return `${stripColors(line).slice(0, Math.max(0, columns - 1))}…`;
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colors are control sequences
const COLOR = /\x1b\[[0-9;]*m/g;
const stripColors = (line: string): string => line.replace(COLOR, "");
const visibleLength = (line: string): number => stripColors(line).length;
