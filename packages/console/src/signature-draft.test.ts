import assert from "node:assert/strict";
import { test } from "node:test";
import { signatureChange, signatureDraft, type SignatureDraft } from "./signature-draft.ts";

const STRIPE = { scheme: "stripe", toleranceSeconds: 300 } as const;
const draft = (of: typeof STRIPE | undefined, changes: Partial<SignatureDraft> = {}): SignatureDraft => {
  return { ...signatureDraft(of), ...changes };
};

test("signature: as it was -> no change; the secret is nowhere to be seen", () => {
  assert.deepEqual(signatureChange(undefined, draft(undefined)), {});
  assert.deepEqual(signatureChange(STRIPE, draft(STRIPE)), {});
  assert.equal(signatureDraft(STRIPE).secret, "");
});

test("signature: switched on, changed, switched off", () => {
  assert.deepEqual(signatureChange(undefined, draft(undefined, { scheme: "github", secret: "s" })), {
    signature: { scheme: "github", secret: "s" },
  });
  assert.deepEqual(signatureChange(STRIPE, draft(STRIPE, { secret: "new", tolerance: "60" })), {
    signature: { scheme: "stripe", secret: "new", toleranceSeconds: 60 },
  });
  assert.deepEqual(signatureChange(STRIPE, draft(STRIPE, { scheme: "" })), { signature: null });
});

test("signature: another scheme or tolerance without a secret -> sent: the API says what is missing", () => {
  assert.deepEqual(signatureChange(STRIPE, draft(STRIPE, { tolerance: "60" })), {
    signature: { scheme: "stripe", toleranceSeconds: 60 },
  });
  assert.deepEqual(signatureChange(STRIPE, draft(STRIPE, { scheme: "slack", tolerance: "soon" })), {
    signature: { scheme: "slack", toleranceSeconds: "soon" },
  });
});
