// What ClickHouse's HTTP interface does with the statements of a target, for tests where there is no server: tables
// with their rows, a window of tokens for each, logins, exceptions with their codes, and the ways in which a network
// fails. Another statement than those of clickhouse-sql.ts is a syntax error.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ClickHouseConnection } from "./clickhouse-client.ts";
import * as sql from "./clickhouse-sql.ts";

export type ClickHouseFault =
  /** HTTP status 503, and nothing is done. */
  | "unavailable"
  /** It is done, and the connection is lost before the answer. */
  | "lost-answer"
  /** Nothing is done, and nobody answers or hangs up. */
  | "silence";

export interface ContractTable {
  readonly engine: string;
  engineFull: string;
  readonly comment: string;
  /** Types by name, in order. */
  readonly columns: Map<string, string>;
  /** One value per column that was inserted; null: `\N`. */
  rows: Readonly<Record<string, string | null>>[];
  /** The newest tokens; the oldest first. */
  readonly tokens: string[];
}

class Refusal extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(`Code: ${code}. DB::Exception: ${message}`);
    this.code = code;
  }
}

const INSERT = /^INSERT INTO `(.+?)`\.`(.+?)` \((.*)\) FORMAT TabSeparated$/s;
const CREATE =
  /^CREATE TABLE IF NOT EXISTS `(.+?)`\.`(.+?)` \(\n(.*)\n\) ENGINE = ((\w+).*)\nCOMMENT '(.*)'$/s;
const DROP = /^DROP TABLE IF EXISTS `(\w+)`\.`(\w+)` SYNC$/;
const FORGET_ENDS = new RegExp(
  "^ALTER TABLE `_millrace`\\.`loaded` DELETE WHERE `table` = '([\\w.]+)' AND `loaded_end` < (\\d+) " +
    "SETTINGS mutations_sync = 2$",
);
const ADD_COLUMN = /^ALTER TABLE `(.+?)`\.`(.+?)` ADD COLUMN IF NOT EXISTS (`(?:\\.|[^`])+`) (.*)$/s;
const CREATE_DATABASE = /^CREATE DATABASE IF NOT EXISTS `(.+)`$/;

export class ClickHouseContract {
  /** By `<database>.<table>`. */
  readonly tables = new Map<string, ContractTable>();
  readonly databases = new Set(["default", "system"]);
  /** Asked at each insert, with its table, which fails so. */
  fault: (table: string) => ClickHouseFault | undefined = () => undefined;
  /** Called when an insert is met with silence. */
  onSilence: () => void = () => {};
  /** Inserts that came, those that were left out too. */
  inserts = 0;
  readonly #server: Server;
  readonly #password: string;

  private constructor(password: string) {
    this.#password = password;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(password = "secret"): Promise<ClickHouseContract> {
    const contract = new ClickHouseContract(password);
    await new Promise<void>((resolve) => contract.#server.listen(0, "127.0.0.1", resolve));
    return contract;
  }

  get connection(): ClickHouseConnection {
    const { port } = this.#server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, user: "default", password: this.#password };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    } catch {
      return; // whoever asked has gone
    }
    const body = Buffer.concat(parts);
    const url = new URL(request.url ?? "/", "http://localhost");
    try {
      if (request.headers["x-clickhouse-key"] !== this.#password)
        throw new Refusal(516, "default: Authentication failed: password is incorrect");
      const query = url.searchParams.get("query");
      const answer =
        query === null
          ? this.#answer(body.toString("utf8"), url.searchParams)
          : this.#insert(query, url.searchParams, body, request);
      if (answer === "silence") return this.onSilence();
      if (answer === "lost") return void request.socket.destroy();
      if (answer === "unavailable") return void response.writeHead(503).end("no server is available");
      response.writeHead(200).end(answer);
    } catch (thrown) {
      const { code, message } = thrown as Refusal;
      const status = code === 516 ? 403 : code === 60 || code === 81 ? 404 : 500;
      response.writeHead(status, { "x-clickhouse-exception-code": String(code ?? 1) }).end(`${message}\n`);
    }
  }

  #answer(text: string, parameters: URLSearchParams): string {
    if (text.endsWith(" FORMAT JSONCompact")) {
      const data = this.#select(text.slice(0, -" FORMAT JSONCompact".length), parameters);
      return JSON.stringify({ meta: [], data, rows: data.length });
    }
    const database = CREATE_DATABASE.exec(text)?.[1];
    if (database !== undefined) {
      this.databases.add(database);
      return "";
    }
    const create = CREATE.exec(text);
    if (create !== null) return this.#create(create);
    const drop = DROP.exec(text);
    if (drop !== null) {
      this.tables.delete(`${drop[1]!}.${drop[2]!}`);
      return "";
    }
    const forget = FORGET_ENDS.exec(text);
    if (forget !== null) {
      const loaded = this.#table("_millrace", "loaded");
      const isKept = (row: Readonly<Record<string, string | null>>): boolean =>
        row["table"] !== forget[1] || Number(row["loaded_end"]) >= Number(forget[2]);
      loaded.rows = loaded.rows.filter(isKept);
      return "";
    }
    const add = ADD_COLUMN.exec(text);
    if (add === null) throw new Refusal(62, `Syntax error: ${text.slice(0, 200)}`);
    const { columns } = this.#table(add[1]!, add[2]!);
    if (!columns.has(unquoted(add[3]!))) columns.set(unquoted(add[3]!), add[4]!);
    return "";
  }

  #create([
    ,
    database = "",
    name = "",
    fields = "",
    engineFull = "",
    engine = "",
    comment = "",
  ]: readonly string[]): string {
    if (!this.databases.has(database)) throw new Refusal(81, `Database ${database} does not exist`);
    if (this.tables.has(`${database}.${name}`)) return "";
    const columns = new Map<string, string>();
    for (const field of fields.split(",\n")) {
      const [, column = "", type = ""] = /^(`(?:\\.|[^`])+`) (.*)$/s.exec(field) ?? [];
      columns.set(unquoted(column), type.replace(/ DEFAULT .*$/, ""));
    }
    this.tables.set(`${database}.${name}`, { engine, engineFull, comment, columns, rows: [], tokens: [] });
    return "";
  }

  #select(query: string, parameters: URLSearchParams): readonly (readonly unknown[])[] {
    const [d, t] = [parameters.get("param_d") ?? "", parameters.get("param_t") ?? ""];
    if (query === sql.DESCRIBE_TABLES) {
      return [...this.tables]
        .filter(([name]) => name === `${d}.${t}` || name === "_millrace.loaded")
        .map(([name, { engine, engineFull, comment }]) => [...name.split("."), engine, engineFull, comment]);
    }
    if (query === sql.DESCRIBE_COLUMNS) return [...(this.tables.get(`${d}.${t}`)?.columns ?? [])];
    if (query !== sql.READ_ENDS) throw new Refusal(62, `Syntax error: ${query.slice(0, 200)}`);
    const ends = new Map<string, number>();
    for (const { table, journal, loaded_end } of this.#table("_millrace", "loaded").rows) {
      if (table === t) ends.set(journal!, Math.max(ends.get(journal!) ?? 0, Number(loaded_end)));
    }
    // 64-bit integers are quoted, unless the server is told otherwise.
    return [...ends].map(([journal, end]) => [journal, String(end)]);
  }

  #insert(
    query: string,
    settings: URLSearchParams,
    body: Buffer,
    request: IncomingMessage,
  ): "" | "silence" | "lost" | "unavailable" {
    const [, database = "", name = "", list = ""] = INSERT.exec(query) ?? [];
    if (name === "") throw new Refusal(62, `Syntax error: ${query.slice(0, 200)}`);
    this.inserts++;
    const fault = this.fault(`${database}.${name}`);
    if (fault === "unavailable" || fault === "silence") return fault;
    if (Number(request.headers["content-length"]) !== body.length)
      throw new Refusal(33, "Cannot read all data");
    this.#take(this.#table(database, name), namesIn(list), settings, body);
    return fault === "lost-answer" ? "lost" : "";
  }

  #take(table: ContractTable, names: readonly string[], settings: URLSearchParams, body: Buffer): void {
    for (const column of names)
      if (!table.columns.has(column)) throw new Refusal(16, `No such column ${column} in table`);
    const rows = body
      .toString("utf8")
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const values = line.split("\t");
        if (values.length !== names.length)
          throw new Refusal(27, "Cannot parse input: expected another column");
        return Object.fromEntries(names.map((column, i) => [column, unescaped(values[i]!)]));
      });
    const token = settings.get("insert_deduplication_token");
    const window = Number(/\bnon_replicated_deduplication_window = (\d+)/.exec(table.engineFull)?.[1] ?? 0);
    if (token !== null && settings.get("async_insert") === "0" && window > 0) {
      if (table.tokens.includes(token)) return;
      table.tokens.push(token);
      if (table.tokens.length > window) table.tokens.shift();
    }
    table.rows.push(...rows);
  }

  #table(database: string, name: string): ContractTable {
    const table = this.tables.get(`${database}.${name}`);
    if (table !== undefined) return table;
    if (!this.databases.has(database)) throw new Refusal(81, `Database ${database} does not exist`);
    throw new Refusal(60, `Table ${database}.${name} does not exist`);
  }
}

function namesIn(list: string): readonly string[] {
  return [...list.matchAll(/`(?:\\.|[^`\\])+`/gs)].map(([name]) => unquoted(name));
}

function unquoted(name: string): string {
  return name.slice(1, -1).replace(/\\(.)/gs, "$1");
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", "0": "\0" };

/** As TabSeparated is read. */
function unescaped(value: string): string | null {
  if (value === "\\N") return null;
  return value.replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}
