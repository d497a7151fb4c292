// Settings of sinks and sources that their owners may change (specification 1.10), with the ranges that the
// specification's service checked too late. Defaults and lower bounds are Millrace's: rows within a second.
import { sizeText, WireError } from "@millrace/base";
import { parseDuration, printDuration } from "@millrace/protocol";
import {
  DEFAULT_CONDITIONS,
  DEFAULT_DEAD_LETTERS,
  type DeadLetterPolicy,
  type SettingValue,
  type SettingValues,
  type SinkConditions,
} from "./definitions.ts";

export interface SinkSettings {
  readonly conditions: SinkConditions;
  readonly waitForAppend: boolean;
  /** Bytes that may wait for the table; 0: any number. */
  readonly quotaBytes: number;
  readonly deadLetters: DeadLetterPolicy;
}

/** What a source takes in a second, all doors together; 0: any number. */
export interface SourceLimits {
  readonly recordsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** `sink`: also of a source, for those of its sinks that have none of their own. `source`: of sources alone. */
export type SettingScope = "sink" | "source";

export type SettingKind = "count" | "size" | "interval" | "flag";

interface Setting {
  readonly kind: SettingKind;
  /** Bounds of the number, of the bytes or of the milliseconds. */
  readonly min: number;
  readonly max: number;
  readonly initial: number;
  /** Default `sink`. */
  readonly scope?: SettingScope;
  apply(settings: Mutable, value: number): void;
}

interface MutableLevel {
  count: number;
  bytes: number;
  intervalMs: number;
  minIntervalMs: number;
}
interface Mutable {
  upload: MutableLevel;
  import: MutableLevel & { slicesCount: number; maxSlices: number };
  waitForAppend: boolean;
  quotaBytes: number;
  recordsPerSecond: number;
  bytesPerSecond: number;
  deadLetters: { -readonly [K in keyof DeadLetterPolicy]: DeadLetterPolicy[K] };
}

const MB = 1024 * 1024;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DEAD_LETTERS = "storage.level.local.deadLetters";
const UPLOAD = "storage.level.staging.upload";
const IMPORT = "storage.level.target.import";

const SETTINGS: Readonly<Record<string, Setting>> = {
  [`${DEAD_LETTERS}.enabled`]: {
    kind: "flag",
    min: 0,
    max: 1,
    initial: Number(DEFAULT_DEAD_LETTERS.isEnabled),
    apply: (settings, value) => (settings.deadLetters.isEnabled = value === 1),
  },
  [`${DEAD_LETTERS}.retention`]: {
    kind: "interval",
    min: HOUR_MS,
    max: 365 * 24 * HOUR_MS,
    initial: DEFAULT_DEAD_LETTERS.keptMs,
    apply: (settings, value) => (settings.deadLetters.keptMs = value),
  },
  [`${DEAD_LETTERS}.size`]: {
    kind: "size",
    min: MB,
    max: 2048 * MB,
    initial: DEFAULT_DEAD_LETTERS.keptBytes,
    apply: (settings, value) => (settings.deadLetters.keptBytes = value),
  },
  "storage.level.local.encoding.sync.wait": {
    kind: "flag",
    min: 0,
    max: 1,
    initial: 1,
    apply: (settings, value) => (settings.waitForAppend = value === 1),
  },
  "source.limit.bytes": {
    kind: "size",
    min: 0,
    max: 10 * 1024 * MB,
    initial: 0,
    scope: "source",
    apply: (settings, value) => (settings.bytesPerSecond = value),
  },
  "source.limit.records": {
    kind: "count",
    min: 0,
    max: 10_000_000,
    initial: 0,
    scope: "source",
    apply: (settings, value) => (settings.recordsPerSecond = value),
  },
  "storage.level.local.quota": {
    kind: "size",
    min: 0,
    max: 10 * 1024 * 1024 * MB,
    initial: 0,
    apply: (settings, value) => (settings.quotaBytes = value),
  },
  ...level(UPLOAD, "upload", { bytesMax: 50 * MB, intervalMsMax: 30 * MINUTE_MS }),
  ...level(IMPORT, "import", { bytesMax: 500 * MB, intervalMsMax: 24 * HOUR_MS }),
};

function level(
  prefix: string,
  name: "upload" | "import",
  max: { readonly bytesMax: number; readonly intervalMsMax: number },
): Record<string, Setting> {
  const initial = DEFAULT_CONDITIONS[name];
  return {
    [`${prefix}.minInterval`]: {
      kind: "interval",
      min: 0,
      max: max.intervalMsMax,
      initial: initial.minIntervalMs,
      apply: (settings, value) => (settings[name].minIntervalMs = value),
    },
    [`${prefix}.trigger.count`]: {
      kind: "count",
      min: 1,
      max: 10_000_000,
      initial: initial.count,
      apply: (settings, value) => (settings[name].count = value),
    },
    [`${prefix}.trigger.size`]: {
      kind: "size",
      min: 100,
      max: max.bytesMax,
      initial: initial.bytes,
      apply: (settings, value) => (settings[name].bytes = value),
    },
    [`${prefix}.trigger.interval`]: {
      kind: "interval",
      min: 100,
      max: max.intervalMsMax,
      initial: initial.intervalMs,
      apply: (settings, value) => (settings[name].intervalMs = value),
    },
  };
}

/** What a setting is by default, and its bounds, as its owner writes them. */
export interface SettingDescription {
  readonly name: string;
  readonly kind: SettingKind;
  readonly initial: string;
  readonly min: string;
  readonly max: string;
}

/** All settings that an owner may have, ordered by name. */
export function describeSettings(owner: SettingScope): readonly SettingDescription[] {
  return Object.entries(SETTINGS)
    .filter(([, setting]) => isOf(setting, owner))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { kind, min, max, initial }]) => {
      return {
        name,
        kind,
        initial: boundText(kind, initial),
        min: boundText(kind, min),
        max: boundText(kind, max),
      };
    });
}

function isOf({ scope = "sink" }: Setting, owner: SettingScope): boolean {
  return owner === "source" || scope === "sink";
}

export interface SettingProblem {
  readonly key: string;
  readonly message: string;
}

/** Why an owner may not have the values, ordered by key. */
export function settingProblems(values: SettingValues, owner: SettingScope): readonly SettingProblem[] {
  return readSettings(values, owner).problems;
}

/**
 * Whether an owner may have the values.
 * @throws {WireError} INVALID_ARGUMENT with all that is wrong, one line each when there is more than one
 */
export function checkSettings(values: SettingValues, owner: SettingScope): void {
  const problems = settingProblems(values, owner);
  if (problems.length > 0)
    throw new WireError("INVALID_ARGUMENT", listOf(problems.map(({ message }) => message)));
}

/**
 * What is in force for a sink, or a source, with stored values in the places of the defaults: what this version does
 * not understand is as if it were not there.
 */
export function settingsInForce(values: SettingValues): SinkSettings & { readonly limits: SourceLimits } {
  const { settings } = readSettings(values, "source");
  const { waitForAppend, quotaBytes, deadLetters, recordsPerSecond, bytesPerSecond, ...conditions } =
    settings;
  const limits = { recordsPerSecond, bytesPerSecond };
  return { conditions, waitForAppend, quotaBytes, deadLetters, limits };
}

function readSettings(
  values: SettingValues,
  owner: SettingScope,
): { readonly settings: Mutable; readonly problems: readonly SettingProblem[] } {
  const settings: Mutable = {
    upload: { ...DEFAULT_CONDITIONS.upload },
    import: { ...DEFAULT_CONDITIONS.import },
    waitForAppend: true,
    quotaBytes: 0,
    recordsPerSecond: 0,
    bytesPerSecond: 0,
    deadLetters: { ...DEFAULT_DEAD_LETTERS },
  };
  const problems: SettingProblem[] = [];
  const refuse = (key: string, message: string): void => void problems.push({ key, message });
  for (const [key, value] of Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const setting = Object.hasOwn(SETTINGS, key) ? SETTINGS[key] : undefined;
    if (setting === undefined || !isOf(setting, owner)) {
      refuse(key, `key not found: "${key}"`);
      continue;
    }
    const read = readValue(setting.kind, value);
    if (typeof read === "string") refuse(key, `Invalid "${key}" value "${String(value)}": ${read}`);
    else if (read < setting.min || read > setting.max) refuse(key, outOfRange(key, value, setting));
    else setting.apply(settings, read);
  }
  return { settings, problems };
}

/** One problem as it is; more as a list. */
export function listOf(problems: readonly string[]): string {
  const sentences = problems.map((problem) => (/[.!?]$/.test(problem) ? problem : `${problem}.`));
  return sentences.length === 1 ? sentences[0]! : sentences.map((sentence) => `- ${sentence}`).join("\n");
}

function outOfRange(key: string, value: SettingValue, setting: Setting): string {
  const text = (bound: number): string => boundText(setting.kind, bound);
  return `Invalid "${key}" value "${String(value)}": must be between ${text(setting.min)} and ${text(setting.max)}`;
}

function boundText(kind: SettingKind, bound: number): string {
  if (kind === "flag") return String(bound === 1);
  if (kind === "size") return sizeText(bound);
  return kind === "interval" ? printDuration(bound) : String(bound);
}

/** The value as a number, or what is wrong with it. */
function readValue(kind: SettingKind, value: SettingValue): number | string {
  switch (kind) {
    case "flag":
      return typeof value === "boolean" ? Number(value) : "must be true or false";
    case "count":
      return typeof value === "number" && Number.isInteger(value) ? value : "must be an integer";
    case "size":
      return typeof value === "string" ? readSize(value) : "invalid syntax";
    case "interval":
      return typeof value === "string" ? readInterval(value) : "invalid duration";
  }
}

function readSize(text: string): number | string {
  const match = /^([0-9]{1,12})(B|KB|MB|GB)?$/i.exec(text);
  if (match === null) return "invalid syntax";
  const power = { B: 0, KB: 1, MB: 2, GB: 3 }[(match[2] ?? "B").toUpperCase()] ?? 0;
  return Number(match[1]) * 1024 ** power;
}

function readInterval(text: string): number | string {
  try {
    return parseDuration(text);
  } catch (thrown) {
    return WireError.from(thrown).message;
  }
}
