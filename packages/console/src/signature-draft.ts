// How a source wants its requests signed, as it stands in a form, and what of it is a change.
import type { Source } from "./stream-definitions.ts";

export type SignatureScheme = NonNullable<Source["signature"]>["scheme"];

export interface SignatureDraft {
  /** "": requests need no signature. */
  readonly scheme: SignatureScheme | "";
  /** "": not given. */
  readonly secret: string;
  /** Seconds, as they were typed. */
  readonly tolerance: string;
}

export interface SchemeText {
  readonly name: string;
  /** Where the sender's side shows the secret. */
  readonly secret: string;
  readonly hasTolerance: boolean;
}

export const SCHEMES: Readonly<Record<SignatureScheme, SchemeText>> = {
  github: { name: "GitHub", secret: "the webhook's Secret", hasTolerance: false },
  stripe: { name: "Stripe", secret: "the endpoint's signing secret, whsec_\u2026", hasTolerance: true },
  slack: { name: "Slack", secret: "the app's Signing Secret", hasTolerance: true },
};

const TOLERANCE_SECONDS = 300;

export function signatureDraft(before: Source["signature"]): SignatureDraft {
  return {
    scheme: before?.scheme ?? "",
    secret: "",
    tolerance: String(before?.toleranceSeconds ?? TOLERANCE_SECONDS),
  };
}

/** The member of a request that makes it so; empty: nothing changes. */
export function signatureChange(
  before: Source["signature"],
  draft: SignatureDraft,
): { signature?: object | null } {
  const { scheme, secret, tolerance } = draft;
  if (scheme === "") return before === undefined ? {} : { signature: null };
  const { hasTolerance } = SCHEMES[scheme];
  const isSame =
    scheme === before?.scheme && (!hasTolerance || tolerance.trim() === String(before.toleranceSeconds));
  if (isSame && secret === "") return {};
  return {
    signature: {
      scheme,
      ...(secret === "" ? {} : { secret }),
      ...(hasTolerance && tolerance.trim() !== "" ? { toleranceSeconds: numberOrText(tolerance) } : {}),
    },
  };
}

/** What is no number goes as it is: the API says what is wrong with it. */
export function numberOrText(text: string): number | string {
  return /^-?[0-9]+$/.test(text.trim()) ? Number(text) : text;
}
