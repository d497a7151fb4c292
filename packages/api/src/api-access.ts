// Who calls the API, by the specification's header or as Bearer (1.4): its statuses and texts.
import { bearerToken, type TokenBook, type TokenOwner } from "@millrace/base";
import type { By } from "@millrace/ingest";
import { ApiError } from "./api-errors.ts";
import type { Access } from "./operation.ts";

/** Names in lower case, as Node has them. */
export type CredentialHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** @throws {ApiError} 400 without a token where one is required, 401 with a wrong one */
export function callerOf(book: TokenBook, headers: CredentialHeaders): TokenOwner {
  const token = tokenOf(headers);
  const owner = book.ownerOf(token);
  if (owner !== undefined) return owner;
  if (token === undefined) throw new ApiError("missingField", '"X-StorageApi-Token" is missing from header');
  throw new ApiError("unauthorized", "Invalid access token");
}

/** @throws {ApiError} 403 */
export function checkAccess({ role }: TokenOwner, access: Access): void {
  if (access === "read" || role === "admin") return;
  throw new ApiError("forbidden", "only admin token can do write operations on streams");
}

/** Who is named as the author of a change. */
export function authorOf(owner: TokenOwner): By {
  if (owner.kind !== "project") return { type: "system" };
  return { type: "user", tokenId: owner.tokenId, tokenDesc: owner.description };
}

/** The specification's header goes before the other. */
export function tokenOf(headers: CredentialHeaders): string | undefined {
  const own = firstOf(headers["x-storageapi-token"]);
  if (own !== undefined && own !== "") return own;
  return bearerToken(firstOf(headers["authorization"]));
}

function firstOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" || value === undefined ? value : value[0];
}
