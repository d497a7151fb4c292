// Server-sent events out of a stream of text, as the HTML standard's "event stream interpretation" has them: lines end
// with LF, CR or CR LF, a blank line dispatches, `data` lines join with LF, comments and unknown fields are skipped.
// An event without data is not dispatched. Pure; chunks may be split anywhere.
//
// Own code because EventSource cannot send an Authorization header.

export interface ServerEvent {
  /** `message` when the stream names none. */
  readonly event: string;
  readonly data: string;
}

/** Characters of one event; a stream beyond it is no event stream of ours. */
const EVENT_CHARS_MAX = 32 * 1024 * 1024;

export class SseParser {
  #line = "";
  #event = "";
  #data: string[] = [];
  #chars = 0;
  #afterCr = false;
  #first = true;

  /**
   * @returns the events that `text` completes, in order
   * @throws {RangeError} when one event is larger than any that is sent
   */
  push(text: string): readonly ServerEvent[] {
    const events: ServerEvent[] = [];
    let rest = text;
    if (this.#first && rest !== "") {
      this.#first = false;
      if (rest.startsWith("\uFEFF")) rest = rest.slice(1);
    }
    if (this.#afterCr && rest !== "") {
      this.#afterCr = false;
      if (rest.startsWith("\n")) rest = rest.slice(1);
    }
    const lineEnd = /\r\n|\n|\r/g;
    let begin = 0;
    for (let match = lineEnd.exec(rest); match !== null; match = lineEnd.exec(rest)) {
      this.#take(rest.slice(begin, match.index));
      begin = lineEnd.lastIndex;
      // A CR at the very end may be the first half of CR LF.
      if (match[0] === "\r" && begin === rest.length) this.#afterCr = true;
      this.#onLine(events);
    }
    this.#take(rest.slice(begin));
    return events;
  }

  #take(text: string): void {
    this.#line += text;
    this.#chars += text.length;
    if (this.#chars > EVENT_CHARS_MAX) {
      throw new RangeError(`an event of more than ${EVENT_CHARS_MAX} characters`);
    }
  }

  #onLine(events: ServerEvent[]): void {
    const line = this.#line;
    this.#line = "";
    if (line === "") {
      if (this.#data.length > 0) {
        events.push({ event: this.#event === "" ? "message" : this.#event, data: this.#data.join("\n") });
      }
      this.#event = "";
      this.#data = [];
      this.#chars = 0;
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else this.#chars -= line.length; // comments keep a quiet stream alive for days
  }
}
