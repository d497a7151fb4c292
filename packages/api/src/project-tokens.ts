// The project's tokens: made, listed, deleted in the coordination store, and mirrored for the doors of this process.
// A record holds the SHA-256 of its token, never the token, which is shown once.
//
//  P1 The first token is an administrator's, and the last one of an administrator goes only where the platform has a
//     token of its own (`auth.token`): otherwise nobody could make another, or everybody could do everything again.
//  P2 A record that cannot be read lets nobody in, and still makes tokens required.
import {
  newToken,
  utf8,
  WireError,
  type Clock,
  type KnownToken,
  type Logger,
  type Random,
  type TokenBook,
  type TokenRole,
} from "@millrace/base";
import { JsonFields, parseJson, type By, type Change } from "@millrace/ingest";
import { atomically, Keyspace, keyOf, type CoordinationStore, type Key } from "@millrace/metadata";
import { ApiError } from "./api-errors.ts";

/** As it is stored. */
export interface TokenRecord extends KnownToken {
  readonly created: Change;
}

export interface MadeToken {
  readonly record: TokenRecord;
  readonly text: string;
}

/** One transaction compares all of them (D26). */
export const PROJECT_TOKENS_MAX = 100;
const PREFIX: Key = "stream/token/";

export class ProjectTokens {
  readonly #store: CoordinationStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #book: TokenBook;
  readonly #keyspace: Keyspace<TokenRecord>;

  /** @param ports.book is kept as the store has it */
  constructor(ports: {
    store: CoordinationStore;
    clock: Clock;
    random: Random;
    logger: Logger;
    book: TokenBook;
  }) {
    this.#store = ports.store;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#book = ports.book;
    this.#keyspace = new Keyspace({
      ...ports,
      prefix: PREFIX,
      decode: (key, value) => {
        try {
          return decodeToken(value, key);
        } catch (error) {
          ports.logger.error("token-unreadable", { key, error: WireError.from(error) });
          return unusable(key); // P2
        }
      },
    });
    this.#keyspace.observe(() => this.#book.replace(this.list()));
  }

  /** What is there makes tokens required from now on. @throws {WireError} what the store says */
  async load(signal: AbortSignal): Promise<void> {
    await this.#keyspace.load(0, signal);
    this.#book.replace(this.list());
  }

  /** Follows the store until `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#keyspace.run(signal);
  }

  /** As this process sees them, in the order of their making. */
  list(): readonly TokenRecord[] {
    const entries = [...this.#keyspace.scan(PREFIX)];
    entries.sort((a, b) => a.createRevision - b.createRevision);
    return entries.map(({ value }) => value);
  }

  /** In force at this process's doors when it resolves. @throws {ApiError} P1, and when there are too many */
  async create(
    input: { readonly description: string; readonly role: TokenRole },
    by: By,
    signal: AbortSignal,
  ): Promise<MadeToken> {
    const { tokenId, text, hash } = newToken(this.#random);
    const created = { at: new Date(this.#clock.wallMs()).toISOString(), by };
    const record: TokenRecord = { tokenId, ...input, hash, created };
    const { revision } = await atomically(
      { store: this.#store, clock: this.#clock },
      async (reads) => {
        const others = await reads.prefix(PREFIX);
        if (others.length >= PROJECT_TOKENS_MAX) {
          const message = `token count limit reached in the project, the maximum is ${PROJECT_TOKENS_MAX}.`;
          throw new ApiError("resourceLimitReached", message);
        }
        if (others.length === 0 && input.role !== "admin" && !this.#book.hasPlatformToken) {
          throw new ApiError(
            "badRequest",
            "the first token must have the role admin: who else makes the next",
            "body.role",
          );
        }
        const value = utf8(JSON.stringify(record));
        return { ops: [{ kind: "put", key: tokenKey(tokenId), value }], result: undefined };
      },
      signal,
    );
    await this.#keyspace.waitForRevision(revision, signal);
    return { record, text };
  }

  /** Not in force any more at this process's doors when it resolves. @throws {ApiError} 404, P1 */
  async remove(tokenId: string, signal: AbortSignal): Promise<void> {
    const { revision } = await atomically(
      { store: this.#store, clock: this.#clock },
      async (reads) => {
        const all = await reads.prefix(PREFIX);
        const key = tokenKey(tokenId);
        if (!all.some((kv) => kv.key === key)) {
          throw new ApiError("tokenNotFound", `Token "${tokenId}" not found in the project`);
        }
        const left = all.filter((kv) => kv.key !== key).map((kv) => readable(kv.value, kv.key));
        if (!this.#book.hasPlatformToken && !left.some((one) => one?.role === "admin")) {
          const text = `Token "${tokenId}" is the last one of an administrator`;
          throw new ApiError("lastAdminToken", `${text}: start the platform with auth.token to delete it`);
        }
        return { ops: [{ kind: "delete", key }], result: undefined };
      },
      signal,
    );
    await this.#keyspace.waitForRevision(revision, signal);
  }
}

function tokenKey(tokenId: string): Key {
  return keyOf(`${PREFIX}${tokenId}`);
}

function readable(value: Uint8Array, key: Key): TokenRecord | undefined {
  try {
    return decodeToken(value, key);
  } catch {
    return undefined; // P2
  }
}

/** @throws {WireError} CORRUPT with the field */
function decodeToken(bytes: Uint8Array, key: Key): TokenRecord {
  const value = parseJson(bytes, key);
  const fields = new JsonFields(value, key);
  fields.text("tokenId");
  fields.oneOf("role", ["admin", "readOnly"] as const);
  fields.text("hash");
  if (!fields.isText("description")) throw new WireError("CORRUPT", `${key}: description is not a text`);
  fields.object("created").time("at");
  return value as TokenRecord;
}

function unusable(key: Key): TokenRecord {
  const tokenId = key.slice(PREFIX.length);
  const created = { at: new Date(0).toISOString(), by: { type: "system" } } as const;
  return { tokenId, description: "unreadable", role: "readOnly", hash: "", created };
}
