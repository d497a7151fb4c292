// What an authorisation token grants: capabilities on the journals that a selector matches, until a moment. Pure; who
// signs and verifies has the keys.
//
//   {"cap": uint32, "sel": {"include": {"labels": [{"name", "value", "prefix"}]}, "exclude": …},
//    "iat": seconds, "exp": seconds, "nbf": seconds}
//
//  Other registered claims are ignored. `labels`, `include`, `exclude` and `sel` may be null, missing or empty alike.
import { invalid, isJsonObject, jsonArray, jsonString, within, withinEach } from "@millrace/protobuf";
import { ANY_LABELS, type LabelSelector } from "./label-selector.ts";
import { EMPTY_LABELS, sortedSet, type Label, type LabelSet } from "./label-set.ts";

/** Bits of `cap`. Applications have those from 1 << 16 on. */
export const CAPABILITY = { LIST: 2, APPLY: 4, READ: 8, APPEND: 16, REPLICATE: 32 } as const;

export type CapabilityName = keyof typeof CAPABILITY;

/** Every capability, also those of applications. */
export const ALL_CAPABILITIES = 0xffff_ffff;

export interface Claims {
  /** Bits of {@link CAPABILITY}. */
  readonly capabilities: number;
  /** Journals that the token is good for. */
  readonly selector: LabelSelector;
}

/** When claims hold, in Unix seconds; undefined: not said. */
export interface ClaimTimes {
  readonly issuedAt: number | undefined;
  readonly notBefore: number | undefined;
  readonly expiresAt: number | undefined;
}

export function claimsToJson(claims: Claims, issuedAt: number, expiresAt: number): unknown {
  const { include, exclude } = claims.selector;
  return {
    cap: claims.capabilities >>> 0,
    sel: { include: labelsToJson(include), exclude: labelsToJson(exclude) },
    exp: expiresAt,
    iat: issuedAt,
  };
}

/** @throws {ValidationError} naming the claim */
export function claimsFromJson(json: unknown): Claims & ClaimTimes {
  if (!isJsonObject(json)) return invalid("expected a JSON object");
  return {
    capabilities: within("cap", () => capabilitiesOf(json["cap"])),
    selector: within("sel", () => selectorOf(json["sel"])),
    issuedAt: within("iat", () => secondsOf(json["iat"])),
    notBefore: within("nbf", () => secondsOf(json["nbf"])),
    expiresAt: within("exp", () => secondsOf(json["exp"])),
  };
}

/** Why `have` is not enough for `need`, or undefined when it is. */
export function missingCapability(have: number, need: number): string | undefined {
  const missing = (need & ~have) >>> 0;
  if (missing === 0) return undefined;
  for (const [name, bit] of Object.entries(CAPABILITY)) {
    if ((missing & bit) !== 0) return `authorization is missing required ${name} capability`;
  }
  const [has, wants] = [(have >>> 0).toString(2), (need >>> 0).toString(2)];
  return `authorization is missing required capability (have ${has}, but require ${wants})`;
}

function labelsToJson({ labels }: LabelSet): unknown {
  if (labels.length === 0) return { labels: null };
  return {
    labels: labels.map(({ name, value, prefix }) => ({
      name,
      ...(value === "" ? {} : { value }),
      ...(prefix ? { prefix } : {}),
    })),
  };
}

function capabilitiesOf(json: unknown): number {
  if (json === undefined || json === null) return 0;
  const isValid = Number.isInteger(json) && (json as number) >= 0 && (json as number) <= ALL_CAPABILITIES;
  return isValid ? (json as number) : invalid("expected an integer in [0, 2^32)");
}

function secondsOf(json: unknown): number | undefined {
  if (json === undefined || json === null) return undefined;
  return typeof json === "number" && Number.isFinite(json) ? Math.floor(json) : invalid("expected a number");
}

function selectorOf(json: unknown): LabelSelector {
  if (json === undefined || json === null) return ANY_LABELS;
  if (!isJsonObject(json)) return invalid("expected a JSON object");
  return {
    include: within("include", () => labelsOf(json["include"])),
    exclude: within("exclude", () => labelsOf(json["exclude"])),
  };
}

function labelsOf(json: unknown): LabelSet {
  if (json === undefined || json === null) return EMPTY_LABELS;
  if (!isJsonObject(json)) return invalid("expected a JSON object");
  const { labels } = json;
  if (labels === undefined || labels === null) return EMPTY_LABELS;
  const items = within("labels", () => jsonArray(labels));
  const read: Label[] = [];
  withinEach("labels", items, (item) => void read.push(labelOf(item)));
  return sortedSet(read);
}

function labelOf(json: unknown): Label {
  if (!isJsonObject(json)) return invalid("expected a JSON object");
  const { name, value, prefix } = json;
  return {
    name: within("name", () => (name === undefined || name === null ? "" : jsonString(name))),
    value: within("value", () => (value === undefined || value === null ? "" : jsonString(value))),
    prefix: within("prefix", () => booleanOf(prefix)),
  };
}

function booleanOf(json: unknown): boolean {
  if (json === undefined || json === null) return false;
  return typeof json === "boolean" ? json : invalid("expected a JSON boolean");
}
