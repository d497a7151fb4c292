// Pipelined requests of HTTP/1, in turns. node:http begins all requests of a read at once: 64 KiB are more than a
// thousand, and ten such connections keep everything else of the process from running for seconds, the renewal of its
// lease too. So what a connection sends passes here before node:http parses it. Single requests pass at once.
//
//  T1  In a turn no more than TURN_HEADS of the requests that came pipelined are begun, of all connections together;
//      who waits is served in the order of coming, SLICE_HEADS at a time.
//  T2  Nothing more is read of a connection while something that was read of it waits, whatever node:http says.
//  T3  A connection with ANSWERS_MAX requests that are whole and not answered begins none before one is.
//  T4  node:http gets every byte, in order, and none while it has paused the connection.
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

const TURN_HEADS = 64;
const SLICE_HEADS = 8;
const ANSWERS_MAX = 16;

const LF = 10;
const CR = 13;

/** Has `server` begin pipelined requests in turns, those of connections that it is handed (`connection`), too. */
export function takeTurns(server: Server): void {
  const turns = new RequestTurns();
  const connections = new WeakMap<Socket, Connection>();
  // node:http's own listener is first, and has set the connection up.
  server.on("connection", (socket: Socket) => connections.set(socket, new Connection(socket, turns)));
  server.prependListener("request", (request: IncomingMessage, response: ServerResponse) =>
    connections.get(request.socket)?.begun(request, response),
  );
}

/**
 * Where the `count`th head of a request ends, or all of `bytes`. Blank lines are counted, as every line end that
 * node:http may know: bodies have some too, and are cut there without harm.
 */
export function headsEnd(bytes: Uint8Array, count: number): { readonly end: number; readonly heads: number } {
  let heads = 0;
  for (let at = bytes.indexOf(LF); at >= 0 && at < bytes.length - 1; at = bytes.indexOf(LF, at + 1)) {
    const next = bytes[at + 1] === CR ? at + 2 : at + 1;
    if (bytes[next] !== LF) continue;
    heads++;
    if (heads === count) return { end: next + 1, heads };
  }
  return { end: bytes.length, heads };
}

class RequestTurns {
  readonly #waiting = new Set<Connection>();
  #isDue = false;

  /** `connection` gives node:http a slice in its turn. */
  wait(connection: Connection): void {
    this.#waiting.add(connection);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    let heads = 0;
    for (const connection of this.#waiting) {
      if (heads >= TURN_HEADS) break;
      this.#waiting.delete(connection);
      heads += connection.giveSlice();
      // Behind all others: a set is gone through in the order of adding.
      if (connection.mayGive) this.#waiting.add(connection);
    }
    this.#isDue = this.#waiting.size > 0;
    if (this.#isDue) setImmediate(() => this.#turn());
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #turns: RequestTurns;
  readonly #parse: (bytes: Buffer) => void;
  readonly #parseEnd: () => void;
  readonly #pause: () => Socket;
  readonly #resume: () => Socket;
  /** What was read and waits. */
  #held: Buffer[] = [];
  #isPaused = false;
  #hasEnded = false;
  #unanswered = 0;
  #newest: IncomingMessage | undefined;

  constructor(socket: Socket, turns: RequestTurns) {
    this.#socket = socket;
    this.#turns = turns;
    this.#parse = replaceLast(socket, "data", (bytes: Buffer) => this.#onData(bytes));
    this.#parseEnd = replaceLast(socket, "end", () => this.#onEnd());
    this.#pause = socket.pause.bind(socket);
    this.#resume = socket.resume.bind(socket);
    socket.pause = () => {
      this.#isPaused = true;
      return this.#pause();
    };
    socket.resume = () => {
      this.#isPaused = false;
      if (this.#held.length === 0) return this.#resume(); // T2
      if (this.mayGive) this.#turns.wait(this);
      return socket;
    };
    socket.once("close", () => (this.#held = []));
  }

  begun(request: IncomingMessage, response: ServerResponse): void {
    this.#unanswered++;
    this.#newest = request;
    response.once("close", () => {
      this.#unanswered--;
      if (this.mayGive) this.#turns.wait(this);
    });
  }

  get mayGive(): boolean {
    if (this.#held.length === 0 || this.#isPaused || this.#socket.destroyed) return false; // T4
    return this.#unanswered < ANSWERS_MAX || this.#isInBody; // T3
  }

  /** @returns how much of a turn it took */
  giveSlice(): number {
    const bytes = this.mayGive ? this.#held.shift() : undefined;
    if (bytes === undefined) return 0;
    const wasInBody = this.#isInBody;
    const { end, heads } = headsEnd(bytes, SLICE_HEADS);
    if (end < bytes.length) this.#held.unshift(bytes.subarray(end));
    this.#parse(bytes.subarray(0, end));
    if (this.#held.length === 0) {
      if (this.#hasEnded) this.#parseEnd();
      else if (!this.#isPaused) this.#resume();
    }
    return wasInBody ? 1 : Math.max(1, heads);
  }

  /** What follows belongs to a request that was begun, at first. */
  get #isInBody(): boolean {
    return this.#newest?.complete === false;
  }

  #onData(bytes: Buffer): void {
    const isAlone = this.#held.length === 0 && headsEnd(bytes, 2).heads < 2;
    if (isAlone && !this.#isPaused && (this.#unanswered < ANSWERS_MAX || this.#isInBody)) {
      this.#parse(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#pause(); // T2
    if (this.mayGive) this.#turns.wait(this);
  }

  #onEnd(): void {
    if (this.#held.length === 0) this.#parseEnd();
    else this.#hasEnded = true;
  }
}

/** Puts `listener` in place of the one that node:http has added, for itself to be called. */
function replaceLast<A extends unknown[]>(
  socket: Socket,
  event: "data" | "end",
  listener: (...args: A) => void,
): (...args: A) => void {
  const own = socket.listeners(event).at(-1) as (...args: A) => void;
  socket.removeListener(event, own);
  // Node gives its parser the bytes by this event alone, once somebody listens to it.
  socket.on(event, listener as (...args: unknown[]) => void);
  return own;
}
