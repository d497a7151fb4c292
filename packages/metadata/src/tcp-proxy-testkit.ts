// A TCP proxy on loopback that misbehaves on demand: what lies between a client and a server.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly port: number;
  readonly #server: Server;
  #targetPort: number;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  #mode: "forward" | "refuse" | "swallow" | "swallow-answers" = "forward";

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.#targetPort = targetPort;
    server.on("connection", (client) => this.#accept(client));
  }

  static async to(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new TcpProxy(server, targetPort);
  }

  /** Cuts all connections, and cuts new ones as soon as they come, until `forward`. */
  refuse(): void {
    this.#mode = "refuse";
    this.cut();
  }

  forward(): void {
    this.#mode = "forward";
  }

  /** New connections go elsewhere; the others are cut. */
  leadTo(targetPort: number): void {
    this.#targetPort = targetPort;
    this.cut();
  }

  /** Requests still arrive; what the server says is dropped, until `forward`. */
  swallowAnswers(): void {
    this.#mode = "swallow-answers";
  }

  /** Nothing passes in either direction, and nobody is told, until `cut` and `forward`. */
  swallow(): void {
    this.#mode = "swallow";
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    if (this.#mode === "refuse") {
      client.destroy();
      return;
    }
    const server = connect(this.#targetPort, "127.0.0.1");
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    client.on("data", (bytes) => {
      if (this.#mode !== "swallow") server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (this.#mode !== "swallow" && this.#mode !== "swallow-answers") client.write(bytes);
    });
  }
}
