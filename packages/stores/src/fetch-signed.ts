// Reads a small object by its signed URL, as anybody who has the URL would: for health checks.
import { WireError } from "@millrace/base";

const BYTES_MAX = 64 * 1024;
const REQUEST_MS_MAX = 30_000;

/**
 * @returns the answer, whatever its status
 * @throws {WireError} UNAVAILABLE: no answer, or one of more than 64 KiB; `signal.reason`
 */
export async function fetchSigned(
  url: string,
  signal: AbortSignal,
): Promise<{ status: number; body: Uint8Array }> {
  const { request } = await import("undici");
  const limits = { headersTimeout: REQUEST_MS_MAX, bodyTimeout: REQUEST_MS_MAX };
  try {
    const { statusCode, body } = await request(url, { signal, ...limits });
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length;
      if (bytes > BYTES_MAX) throw new WireError("UNAVAILABLE", `answer of more than ${BYTES_MAX} bytes`);
      parts.push(chunk);
    }
    return { status: statusCode, body: Buffer.concat(parts) };
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof WireError) throw cause;
    // The URL is a credential: it is not for messages.
    throw new WireError("UNAVAILABLE", `no answer: ${(cause as Error).message}`, { cause });
  }
}
