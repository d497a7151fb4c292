// Data keys by AWS KMS, and what speaks its protocol, over the AWS SDK: loaded when it is used. Credentials come from
// the SDK's default chain.
import type { KMSClient } from "@aws-sdk/client-kms";
import type * as KmsSdk from "@aws-sdk/client-kms";
import type { KeyContext, KeyFailure, KeyService, MadeKey } from "@millrace/ingest";
import { silenceVersionNotice } from "@millrace/stores";
import { awsKmsFailure } from "./aws-kms-failure.ts";

const CONNECT_MS_MAX = 3000;

export interface AwsKmsPlace {
  /** "": the one of `key`, if it is an ARN; else the environment's or the profile's. */
  readonly region: string;
  /** "": the region's own. */
  readonly endpoint: string;
  /** The first key. */
  readonly key: string;
}

export async function openAwsKms({ region, endpoint, key }: AwsKmsPlace): Promise<KeyService> {
  const sdk = await import("@aws-sdk/client-kms");
  silenceVersionNotice();
  const place = region === "" ? regionOfArn(key) : region;
  const client = new sdk.KMSClient({
    ...(place === undefined ? {} : { region: place }),
    ...(endpoint === "" ? {} : { endpoint }),
    maxAttempts: 1, // key-calls.ts repeats
    requestHandler: { connectionTimeout: CONNECT_MS_MAX },
  });
  return new AwsKms(sdk, client);
}

class AwsKms implements KeyService {
  readonly provider = "aws-kms";
  readonly #sdk: typeof KmsSdk;
  readonly #client: KMSClient;

  constructor(sdk: typeof KmsSdk, client: KMSClient) {
    this.#sdk = sdk;
    this.#client = client;
  }

  async generate(key: string, context: KeyContext, signal: AbortSignal): Promise<MadeKey> {
    const command = new this.#sdk.GenerateDataKeyCommand({
      KeyId: key,
      KeySpec: "AES_256",
      EncryptionContext: context,
    });
    const { Plaintext, CiphertextBlob, KeyId } = await this.#client.send(command, { abortSignal: signal });
    if (Plaintext === undefined || CiphertextBlob === undefined) throw new Error("an answer without a key");
    return { plain: Plaintext, wrapped: CiphertextBlob, by: KeyId ?? key };
  }

  async unwrap(
    wrapped: Uint8Array,
    key: string,
    context: KeyContext,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const command = new this.#sdk.DecryptCommand({
      KeyId: key,
      CiphertextBlob: wrapped,
      EncryptionContext: context,
    });
    const { Plaintext } = await this.#client.send(command, { abortSignal: signal });
    if (Plaintext === undefined) throw new Error("an answer without a key");
    return Plaintext;
  }

  failureOf(thrown: unknown): KeyFailure {
    const { name, code, message, $metadata } = (thrown ?? {}) as {
      readonly name?: string;
      readonly code?: string;
      readonly message?: string;
      readonly $metadata?: { readonly httpStatusCode?: number };
    };
    return awsKmsFailure({
      status: $metadata?.httpStatusCode,
      name: name === undefined || name === "Error" ? (code ?? "") : name,
      message: message ?? String(thrown),
    });
  }
}

/** `arn:aws:kms:eu-west-1:…` */
function regionOfArn(key: string): string | undefined {
  return /^arn:[^:]+:kms:([^:]+):/.exec(key)?.[1];
}
