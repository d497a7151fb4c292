// A network between a target and its PostgreSQL that fails at the one moment that matters: when COMMIT is under way.
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/** Bytes of statements, which are sent as they are. */
const MOVES_ENDS = 'UPDATE "_millrace"."loaded"';
const COMMIT = "COMMIT\0";

export type CommitFault =
  /** The connection is lost before the server has seen COMMIT. */
  | "before"
  /** The server commits, and its answer is lost. */
  | "after"
  /** The server never hears of it, and nobody hangs up. */
  | "silence";

export class PostgresFaultProxy {
  /** Of the next transaction that moves loaded ends. */
  fault: CommitFault | undefined;
  /** Called when a commit stands still. */
  onSilence: () => void = () => {};
  readonly #port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(port: number): Promise<PostgresFaultProxy> {
    const proxy = new PostgresFaultProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket): void {
    const server = connect(this.#port, "127.0.0.1");
    let isMoving = false;
    let cutsAnswer = false;
    const both = [client, server];
    for (const socket of both) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        for (const other of both) other.destroy();
      });
    }
    client.on("data", (bytes: Buffer) => {
      if (bytes.includes(MOVES_ENDS)) isMoving = true;
      if (!isMoving || !bytes.includes(COMMIT)) return void server.write(bytes);
      isMoving = false;
      const { fault } = this;
      this.fault = undefined;
      if (fault === "before") return void client.destroy();
      if (fault === "silence") return this.onSilence();
      cutsAnswer = fault === "after";
      server.write(bytes);
    });
    server.on("data", (bytes: Buffer) => {
      if (cutsAnswer) client.destroy();
      else client.write(bytes);
    });
  }
}
