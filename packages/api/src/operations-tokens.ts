// The project's tokens. The specification has none of its own: its tokens are those of another service (1.4).
import { emptyAnswer, newTokenAnswer, tokensAnswer } from "./answer-schemas.ts";
import { operation, type Operation } from "./operation.ts";
import type { TokenRecord } from "./project-tokens.ts";
import { createTokenSchema } from "./request-schemas.ts";

const shared = { tag: "tokens", status: 200 } as const;

export const tokenOperations: readonly Operation[] = [
  operation({
    ...shared,
    id: "createToken",
    method: "POST",
    path: "/tokens",
    summary: "Create a token, which is shown this once; the first one makes tokens required",
    access: "write",
    body: createTokenSchema,
    answer: newTokenAnswer,
    errors: ["resourceLimitReached"],
    handle: async ({ deps, by, body }) => {
      const { description = "", role } = body;
      const { record, text } = await deps.tokens.create({ description, role }, by, deps.signal);
      return { ...tokenBody(record), token: text };
    },
  }),
  operation({
    ...shared,
    id: "listTokens",
    method: "GET",
    path: "/tokens",
    summary: "List tokens, oldest first, without the tokens themselves",
    access: "read",
    answer: tokensAnswer,
    errors: [],
    handle: ({ deps }) => ({ tokens: deps.tokens.list().map(tokenBody) }),
  }),
  operation({
    ...shared,
    id: "deleteToken",
    method: "DELETE",
    path: "/tokens/{tokenId}",
    summary: "Delete a token: it opens nothing any more",
    access: "write",
    answer: emptyAnswer,
    errors: ["tokenNotFound", "lastAdminToken"],
    handle: async ({ deps, path }) => {
      await deps.tokens.remove(path["tokenId"] ?? "", deps.signal);
      return {};
    },
  }),
];

function tokenBody({ tokenId, description, role, created }: TokenRecord): object {
  return { tokenId, description, role, created };
}
