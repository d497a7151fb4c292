// A token for Azure's storage by the client credentials of an application: the OAuth 2.0 flow of the vendor's identity
// platform, one request. (Its identity SDK has 25 packages for this and refuses any other authority than one over TLS.)
// The SDK of the storage asks for a token before each request; tokens are kept until shortly before they end.
import type { BlobServiceClient } from "@azure/storage-blob";
import { never, WireError, type Clock, type Random } from "@millrace/base";
import { request } from "undici";

/** The SDK's interface of what gives tokens, which lives in a package of its own. */
type TokenCredential = Extract<BlobServiceClient["credential"], { getToken: unknown }>;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface AzureTokenPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Environment;
}

const AUTHORITY = "https://login.microsoftonline.com";
const SCOPE = "https://storage.azure.com/.default";
/** How long before its end a token is replaced. */
const SPARE_MS = 5 * 60_000;
const REQUEST_MS_MAX = 30_000;
const ANSWER_BYTES_MAX = 64 * 1024;

interface Token {
  readonly token: string;
  readonly expiresOnTimestamp: number;
}

/** @throws {WireError} FORBIDDEN when the environment lacks the application */
export function azureToken(tenant: string, ports: AzureTokenPorts): TokenCredential {
  const { env, clock } = ports;
  const { AZURE_CLIENT_ID: id = "", AZURE_CLIENT_SECRET: secret = "" } = env;
  if (id === "" || secret === "") {
    const message = "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET must be set for azure-ad:// URLs";
    throw new WireError("FORBIDDEN", message);
  }
  const authority = (env["AZURE_AUTHORITY_HOST"] ?? AUTHORITY).replace(/\/+$/, "");
  const url = `${authority}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
  let kept: Token | undefined;
  return {
    getToken: async (_scopes, options) => {
      const nowMs = clock.wallMs();
      if (kept !== undefined && kept.expiresOnTimestamp - SPARE_MS > nowMs) return kept;
      const grant = { grant_type: "client_credentials", client_id: id, client_secret: secret, scope: SCOPE };
      const signal = (options?.abortSignal as AbortSignal | undefined) ?? never;
      kept = await fetchToken(url, new URLSearchParams(grant).toString(), nowMs, signal);
      return kept;
    },
  };
}

async function fetchToken(url: string, body: string, nowMs: number, signal: AbortSignal): Promise<Token> {
  const { statusCode, body: stream } = await request(url, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body,
    signal,
    headersTimeout: REQUEST_MS_MAX,
    bodyTimeout: REQUEST_MS_MAX,
  });
  let answer = "";
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    answer += chunk.toString("latin1");
    if (answer.length > ANSWER_BYTES_MAX)
      throw refused(statusCode, `answer of more than ${ANSWER_BYTES_MAX} bytes`);
  }
  let said: { access_token?: unknown; expires_in?: unknown; error?: unknown };
  try {
    said = JSON.parse(answer) as typeof said;
  } catch {
    throw refused(statusCode, "the answer is not JSON");
  }
  const { access_token: token, expires_in: seconds } = said;
  if (statusCode !== 200) throw refused(statusCode, `refused: ${String(said.error)}`);
  if (typeof token !== "string" || typeof seconds !== "number" || !(seconds > 0)) {
    throw refused(statusCode, "the answer has no token");
  }
  return { token, expiresOnTimestamp: nowMs + seconds * 1000 };
}

/** The answer's text is left out: it is not for logs. */
function refused(status: number, what: string): WireError {
  const code = status >= 400 && status < 500 && status !== 429 ? "FORBIDDEN" : "UNAVAILABLE";
  return new WireError(code, `token of the application: ${status} ${what}`);
}
