// AWS KMS as tests need it: GenerateDataKey and Decrypt in its JSON protocol, with the requests' signatures checked,
// keys that are disabled, denied or away, and failures by script. Ciphertexts name their key and are bound to their
// context.
import assert from "node:assert/strict";
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export const KMS_REGION = "eu-test-1";
const ACCESS = "AKIATESTTESTTESTTEST";
const SECRET = "a secret of the test";

/** Of a process that is to be let in. */
export const KMS_ENVIRONMENT: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: ACCESS,
  AWS_SECRET_ACCESS_KEY: SECRET,
  AWS_EC2_METADATA_DISABLED: "true",
};

interface Asked {
  readonly operation: string;
  readonly KeyId: string;
  readonly EncryptionContext: Readonly<Record<string, string>>;
  readonly CiphertextBlob?: string;
  readonly KeySpec?: string;
}

interface Refusal {
  readonly status: number;
  readonly type: string;
}

type Answer = Refusal | { readonly status: 200; readonly body: object };

export class TestKms {
  readonly #server: Server;
  /** What was asked, the signature being right. */
  readonly asked: Asked[] = [];
  /** Requests whose signature was wrong. */
  unsigned = 0;
  /** Key ids and what is to be answered for them. */
  readonly refusals = new Map<string, Refusal>();
  /** Answered once each, before anything else. */
  readonly next: Refusal[] = [];
  readonly #keys = new Map<string, Buffer>();
  readonly #aliases = new Map<string, string>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<TestKms> {
    const server = createServer();
    const kms = new TestKms(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      void kms.#serve(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    server.unref();
    after(() => kms.stop());
    return kms;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** @returns its ARN */
  addKey(id: string, alias?: string): string {
    this.#keys.set(id, randomBytes(32));
    if (alias !== undefined) this.#aliases.set(`alias/${alias}`, id);
    return arnOf(id);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    const body = Buffer.concat(parts);
    const answer = this.#answer(request, body);
    const shown =
      "body" in answer ? answer.body : { __type: answer.type, message: `the test says ${answer.type}` };
    response.writeHead(answer.status, { "content-type": "application/x-amz-json-1.1" });
    response.end(JSON.stringify(shown));
  }

  #answer(request: IncomingMessage, body: Buffer): Answer {
    if (!isSigned(request, body)) {
      this.unsigned++;
      return refused("InvalidSignatureException");
    }
    const scripted = this.next.shift();
    if (scripted !== undefined) return scripted;
    const operation = String(request.headers["x-amz-target"]).replace("TrentService.", "");
    const asked = { operation, ...(JSON.parse(body.toString("utf8")) as Omit<Asked, "operation">) };
    this.asked.push(asked);
    const id = this.#aliases.get(asked.KeyId) ?? asked.KeyId.split("/").at(-1)!;
    const refusal = this.refusals.get(id);
    if (refusal !== undefined) return refusal;
    const key = this.#keys.get(id);
    if (key === undefined) return refused("NotFoundException");
    if (operation === "Decrypt") return this.#decrypt(asked, id, key);
    assert.equal(operation, "GenerateDataKey");
    assert.equal(asked.KeySpec, "AES_256");
    const plain = randomBytes(32);
    const made = { Plaintext: plain.toString("base64"), CiphertextBlob: wrap(plain, { id, key }, asked) };
    return { status: 200, body: { ...made, KeyId: arnOf(id) } };
  }

  #decrypt(asked: Asked, id: string, key: Buffer): Answer {
    const blob = Buffer.from(asked.CiphertextBlob ?? "", "base64");
    const nameEnd = 1 + blob[0]!;
    if (blob.subarray(1, nameEnd).toString() !== id) return refused("IncorrectKeyException");
    try {
      const decipher = createDecipheriv("aes-256-gcm", key, blob.subarray(nameEnd, nameEnd + 12));
      decipher.setAAD(contextOf(asked));
      decipher.setAuthTag(blob.subarray(-16));
      const plain = Buffer.concat([decipher.update(blob.subarray(nameEnd + 12, -16)), decipher.final()]);
      return { status: 200, body: { Plaintext: plain.toString("base64"), KeyId: arnOf(id) } };
    } catch {
      return refused("InvalidCiphertextException");
    }
  }
}

export function refused(type: string, status = 400): Refusal {
  return { status, type };
}

function arnOf(id: string): string {
  return `arn:aws:kms:${KMS_REGION}:000000000000:key/${id}`;
}

function wrap(plain: Buffer, { id, key }: { id: string; key: Buffer }, asked: Asked): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(contextOf(asked));
  const sealed = [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([Buffer.from([id.length]), Buffer.from(id), nonce, ...sealed]).toString("base64");
}

function contextOf({ EncryptionContext }: Asked): Buffer {
  const pairs = Object.entries(EncryptionContext).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(pairs));
}

/** Signature version 4, over all that the client says it has signed. */
function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const { authorization = "" } = request.headers;
  const match = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
    authorization,
  );
  if (match?.[1] !== ACCESS) return false;
  const [, , scope, names, signature] = match as unknown as string[];
  const [day, region, service, ending] = scope!.split("/");
  if (region !== KMS_REGION || service !== "kms" || ending !== "aws4_request") return false;
  const signed = names!.split(";");
  if (!["host", "x-amz-date", "x-amz-target"].every((name) => signed.includes(name))) return false;
  const headers = signed.map((name) => `${name}:${String(request.headers[name]).trim()}\n`).join("");
  const canonical = ["POST", "/", "", headers, names, sha256(body)].join("\n");
  const text = ["AWS4-HMAC-SHA256", String(request.headers["x-amz-date"]), scope, sha256(canonical)].join(
    "\n",
  );
  const keyed = [day!, region, service, ending].reduce<string | Buffer>(hmac, `AWS4${SECRET}`);
  return hmac(keyed, text).toString("hex") === signature;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
