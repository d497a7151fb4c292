// The newest lines of a journal with their offsets, bounded in lines and in characters of a line.
//
// T1 A line's offset is where its first byte stands: the chunk's offset plus the UTF-8 length of what precedes it.
// T2 Content that does not continue what was read (a jump, a reconnect) ends the open line and marks the jump.
// T3 Content that was read already is skipped, so that a reconnect does not show a line twice.

export interface TailLine {
  /** Grows by one with every line: a key for lists. */
  readonly id: number;
  readonly offset: number;
  readonly text: string;
  /** Characters that are not shown. */
  readonly cut: number;
  readonly kind: "frame" | "lengths" | "row" | "jump";
  /** The beginning is missing: reading started in its middle. */
  readonly partial: boolean;
}

export interface TailLimits {
  readonly linesMax: number;
  readonly lineCharsMax: number;
}

export const TAIL_LIMITS: TailLimits = { linesMax: 500, lineCharsMax: 4000 };

const FRAME_LINE = /^MF1 [0-9a-f]{16} \d+ \d+ \d+ \d+ \d+ [0-9a-f]{8}$/;

const encoder = new TextEncoder();

export class TailBuffer {
  readonly #limits: TailLimits;
  #lines: TailLine[] = [];
  #next = 0;
  #head: number | undefined;
  #open: { offset: number; text: string; cut: number; partial: boolean } | undefined;
  #afterFrame = false;
  /** Lines completed since the beginning. */
  total = 0;

  constructor(limits: TailLimits = TAIL_LIMITS) {
    this.#limits = limits;
  }

  /** Offset behind the last byte that came; undefined before any. */
  get head(): number | undefined {
    return this.#head;
  }

  /** The oldest first; the line being written last. */
  lines(): readonly TailLine[] {
    const lines =
      this.#open === undefined ? this.#lines : [...this.#lines, this.#close(this.#open, this.#next)];
    return lines.slice(-this.#limits.linesMax);
  }

  push(offset: number, text: string): void {
    let begin = offset;
    let content = text;
    if (this.#head === undefined) {
      this.#open = offset === 0 ? undefined : { offset, text: "", cut: 0, partial: !startsLine(text) };
    } else if (offset < this.#head) {
      const known = this.#head - offset; // T3
      const size = byteLength(content);
      if (known >= size) return;
      content = dropBytes(content, known);
      begin = this.#head;
    } else if (offset > this.#head) {
      this.#endOpen();
      this.#add({ offset, text: String(offset - this.#head), cut: 0, partial: false }, "jump"); // T2
      this.#open = { offset, text: "", cut: 0, partial: !startsLine(content) };
    }
    this.#take(begin, content);
  }

  #take(offset: number, content: string): void {
    // Most journals are ASCII, and then a length is a length.
    const isAscii = byteLength(content) === content.length;
    const lengthOf = (text: string): number => (isAscii ? text.length : byteLength(text));
    let at = offset;
    let from = 0;
    for (let end = content.indexOf("\n"); end >= 0; end = content.indexOf("\n", from)) {
      const piece = content.slice(from, end);
      this.#extend(at, piece);
      this.#endOpen();
      at += lengthOf(piece) + 1;
      from = end + 1;
    }
    const rest = content.slice(from);
    if (rest !== "") this.#extend(at, rest);
    this.#head = at + lengthOf(rest);
  }

  #extend(offset: number, piece: string): void {
    const open = this.#open ?? { offset, text: "", cut: 0, partial: false };
    const room = this.#limits.lineCharsMax - open.text.length;
    open.cut += Math.max(0, piece.length - room);
    open.text += piece.slice(0, room);
    this.#open = open;
  }

  #endOpen(): void {
    if (this.#open === undefined) return;
    const line = this.#open;
    this.#open = undefined;
    this.#add(line, this.#kindOf(line.text));
    this.#afterFrame = this.#lines.at(-1)?.kind === "frame";
  }

  #add(line: Omit<TailLine, "id" | "kind">, kind: TailLine["kind"]): void {
    this.#lines.push({ ...line, id: this.#next, kind });
    this.#next += 1;
    this.total += 1;
    // In blocks: to shift a line at a time would move all others each time.
    if (this.#lines.length >= this.#limits.linesMax * 2)
      this.#lines = this.#lines.slice(-this.#limits.linesMax);
  }

  #close(line: Omit<TailLine, "id" | "kind">, id: number): TailLine {
    return { ...line, id, kind: this.#kindOf(line.text) };
  }

  #kindOf(text: string): TailLine["kind"] {
    if (FRAME_LINE.test(text)) return "frame";
    return this.#afterFrame && /^\d+(?:,\d+)*$/.test(text) ? "lengths" : "row";
  }
}

/** Reading may begin anywhere; only a frame's first line shows that it begins a line. */
function startsLine(text: string): boolean {
  return text.startsWith("MF1 ");
}

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

function dropBytes(text: string, bytes: number): string {
  return new TextDecoder().decode(encoder.encode(text).subarray(bytes));
}
