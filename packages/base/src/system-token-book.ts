// Who a token belongs to, for every door of a process: the platform's own token (`auth.token`), and tokens of the
// project, of which only the SHA-256 is kept. They are 256 random bits, so nothing slower than SHA-256 is needed: what
// cannot be guessed cannot be searched for.
//
//  B1 Without the platform's token and without any of the project's, nobody is asked for one: whoever composes sees to
//     who can reach the door. The first of either makes tokens required, at once.
//  B2 A project's token names its record; hashes are compared in a time that does not depend on where they differ.
import { createHash } from "node:crypto";
import { hex } from "./bytes.ts";
import { bearerToken, equalSecret } from "./bearer-token.ts";
import type { Random } from "./ports.ts";

/** `admin` may do everything; `readOnly` changes nothing. */
export type TokenRole = "admin" | "readOnly";

/** What is known of a project's token. */
export interface KnownToken {
  readonly tokenId: string;
  readonly description: string;
  readonly role: TokenRole;
  /** SHA-256 of the token, in hexadecimal digits. */
  readonly hash: string;
}

/** Who asks. */
export type TokenOwner =
  | { readonly kind: "everyone" | "platform"; readonly role: "admin" }
  | {
      readonly kind: "project";
      readonly role: TokenRole;
      readonly tokenId: string;
      readonly description: string;
    };

export interface NewToken {
  readonly tokenId: string;
  /** The token itself, shown once. */
  readonly text: string;
  readonly hash: string;
}

const ID_BYTES = 6;
const SECRET_BYTES = 32;
const FORM = /^mill_([0-9a-f]{12})_[0-9a-f]{64}$/;
const EVERYONE: TokenOwner = { kind: "everyone", role: "admin" };
const PLATFORM: TokenOwner = { kind: "platform", role: "admin" };

export function newToken(random: Random): NewToken {
  const tokenId = hex(random.fill(new Uint8Array(ID_BYTES)));
  const text = `mill_${tokenId}_${hex(random.fill(new Uint8Array(SECRET_BYTES)))}`;
  return { tokenId, text, hash: hashToken(text) };
}

export class TokenBook {
  readonly #platformToken: string;
  readonly #innerToken: string;
  readonly #listeners = new Set<() => void>();
  #known: ReadonlyMap<string, KnownToken> = new Map();

  /**
   * @param platformToken "": there is none
   * @param innerToken for what the process asks of its own doors; not a reason to require one of others
   */
  constructor(platformToken: string, innerToken = "") {
    this.#platformToken = platformToken;
    this.#innerToken = innerToken;
  }

  /** What the process sends to its own doors. */
  get innerToken(): string {
    return this.#innerToken;
  }

  get hasPlatformToken(): boolean {
    return this.#platformToken !== "";
  }

  get isRequired(): boolean {
    return this.#platformToken !== "" || this.#known.size > 0;
  }

  /** Tokens of the project. */
  known(): readonly KnownToken[] {
    return [...this.#known.values()];
  }

  /** From now on these are the project's tokens. */
  replace(tokens: readonly KnownToken[]): void {
    this.#known = new Map(tokens.map((token) => [token.tokenId, token]));
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each change of the project's tokens. */
  observe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** @returns undefined for a token that is none, or that is missing and required */
  ownerOf(token: string | undefined): TokenOwner | undefined {
    if (!this.isRequired) return EVERYONE; // B1
    if (token === undefined) return undefined;
    if (this.#platformToken !== "" && equalSecret(token, this.#platformToken)) return PLATFORM;
    if (this.#innerToken !== "" && equalSecret(token, this.#innerToken)) return PLATFORM;
    const found = this.#known.get(FORM.exec(token)?.[1] ?? "");
    if (found === undefined || !equalSecret(hashToken(token), found.hash)) return undefined; // B2
    const { role, tokenId, description } = found;
    return { kind: "project", role, tokenId, description };
  }

  /** The same for an Authorization header. */
  bearerOf(authorization: string | undefined): TokenOwner | undefined {
    return this.ownerOf(bearerToken(authorization));
  }
}

function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
