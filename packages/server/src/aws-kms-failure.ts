// What a refusal of AWS KMS means, and what to do about it.
import type { KeyFailure } from "@millrace/ingest";

/** What the service answered, or why it could not be asked. */
export interface KmsRefusal {
  /** HTTP status; undefined: there was no answer. */
  readonly status: number | undefined;
  /** `AccessDeniedException`, …; of no answer the client's, or the system's code. */
  readonly name: string;
  readonly message: string;
}

const REASON_LENGTH_MAX = 500;

const RIGHTS =
  "allow this process kms:GenerateDataKey on the first key of encryption.kms-key and kms:Decrypt on all, in the " +
  "key's policy or its role's";
const CREDENTIALS =
  "give credentials as the AWS SDK takes them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, web identity, " +
  "or the role of the container or machine";
const NAMED =
  "name an existing symmetric key in encryption.kms-key: ARN, id or alias/NAME, in encryption.kms-region";
const ENABLED = "enable the key, or cancel its deletion";
const REACHED = "look at encryption.kms-endpoint, encryption.kms-region and the network";

type Meaning = Pick<KeyFailure, "kind" | "remedy">;

const MEANINGS: Readonly<Record<string, Meaning>> = {
  AccessDeniedException: { kind: "refused", remedy: RIGHTS },
  CredentialsProviderError: { kind: "refused", remedy: CREDENTIALS },
  UnrecognizedClientException: { kind: "refused", remedy: CREDENTIALS },
  InvalidSignatureException: { kind: "refused", remedy: CREDENTIALS },
  IncompleteSignatureException: { kind: "refused", remedy: CREDENTIALS },
  ExpiredTokenException: { kind: "refused", remedy: CREDENTIALS },
  MissingAuthenticationTokenException: { kind: "refused", remedy: CREDENTIALS },
  DisabledException: { kind: "refused", remedy: ENABLED },
  KMSInvalidStateException: { kind: "refused", remedy: ENABLED },
  NotFoundException: { kind: "refused", remedy: NAMED },
  InvalidArnException: { kind: "refused", remedy: NAMED },
  InvalidKeyUsageException: { kind: "refused", remedy: NAMED },
  IncorrectKeyException: {
    kind: "other-key",
    remedy: "name the key that has wrapped it in encryption.kms-key, too",
  },
  InvalidCiphertextException: {
    kind: "changed",
    remedy:
      "it was changed, or wrapped for another installation: put /millrace/pipeline/data-keys back from a backup",
  },
  KeyUnavailableException: { kind: "passing", remedy: REACHED },
  DependencyTimeoutException: { kind: "passing", remedy: "" },
  KMSInternalException: { kind: "passing", remedy: "" },
  ThrottlingException: {
    kind: "passing",
    remedy: "too many requests of this account: raise its quota of KMS",
  },
  RequestTimeTooSkewed: { kind: "passing", remedy: "put the clock right" },
};

export function awsKmsFailure({ status, name, message }: KmsRefusal): KeyFailure {
  const parts = [status === undefined ? "" : String(status), name, message];
  const reason = parts
    .filter((part) => part !== "")
    .join(" ")
    .slice(0, REASON_LENGTH_MAX);
  if (Object.hasOwn(MEANINGS, name)) return { ...MEANINGS[name]!, reason };
  if (/^region is missing/i.test(message))
    return { kind: "refused", reason, remedy: "give --encryption.kms-region" };
  if (status === undefined) return { kind: "passing", reason, remedy: REACHED };
  return {
    kind: status >= 500 || status === 408 || status === 429 ? "passing" : "refused",
    reason,
    remedy: "",
  };
}
