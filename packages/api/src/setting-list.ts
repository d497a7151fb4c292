// Settings as the API lists and takes them (specification 1.10): those that an owner may change, and those that are as
// they are here. Of the specification's keys that say nothing about journals only the names are known: changing one is
// refused as for any protected key.
import {
  describeSettings,
  type SettingChange,
  type SettingKind,
  type SettingScope,
  type SettingValues,
} from "@millrace/ingest";
import { ApiError, refuseProblems, type Problem } from "./api-errors.ts";

export interface ListedSetting {
  readonly key: string;
  readonly type: "string" | "int" | "bool";
  readonly description: string;
  readonly value: string | number | boolean;
  readonly defaultValue: string | number | boolean;
  readonly overwritten: boolean;
  readonly protected: boolean;
  readonly validation?: string;
}

const LOCAL = "storage.level.local";
const UPLOAD = "storage.level.staging.upload";
const IMPORT = "storage.level.target.import";

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  "source.limit.bytes": "Bytes that the source takes in a second, all doors together; 0: any number.",
  "source.limit.records": "Records that the source takes in a second, all doors together; 0: any number.",
  [`${LOCAL}.deadLetters.enabled`]:
    "Keep records that cannot be mapped as dead letters, to be replayed; without it they are refused.",
  [`${LOCAL}.deadLetters.retention`]: "Dead letters so old are removed.",
  [`${LOCAL}.deadLetters.size`]: "Beyond so many bytes of dead letters the oldest are removed.",
  [`${LOCAL}.quota`]: "Bytes that may wait for the table; beyond, records are refused (507). 0: any number.",
  [`${LOCAL}.encoding.sync.wait`]:
    "Answer a record once it is on disk; without it, when it is taken: a crash may lose it.",
  [`${UPLOAD}.minInterval`]: "No slice is uploaded sooner after the one before.",
  [`${UPLOAD}.trigger.count`]: "A slice of so many records is uploaded.",
  [`${UPLOAD}.trigger.interval`]: "A slice so old is uploaded.",
  [`${UPLOAD}.trigger.size`]: "A slice of so many bytes is uploaded.",
  [`${IMPORT}.minInterval`]: "No file is imported sooner after the one before.",
  [`${IMPORT}.trigger.count`]: "A file of so many records is imported.",
  [`${IMPORT}.trigger.interval`]: "A file so old is imported.",
  [`${IMPORT}.trigger.size`]: "A file of so many bytes is imported.",
};

/** What is the same for everybody. */
const FIXED: readonly Pick<ListedSetting, "key" | "type" | "description" | "value">[] = [
  {
    key: `${LOCAL}.encoding.compression.type`,
    type: "string",
    description: "Compression of frames in a partition's journal.",
    value: "none",
  },
  {
    key: `${LOCAL}.encoding.encoder.type`,
    type: "string",
    description: "How rows are written into frames.",
    value: "csv",
  },
  {
    key: `${LOCAL}.encoding.sync.mode`,
    type: "string",
    description: "Where acknowledged rows are.",
    value: "disk",
  },
  {
    key: `${IMPORT}.trigger.slicesCount`,
    type: "int",
    description: "A file of so many slices is imported.",
    value: 100,
  },
];

/** Of the specification; here they mean nothing. */
const UNUSED: readonly string[] = [
  ...["level", "implementation", "blockSize", "concurrency"].map(
    (name) => `${LOCAL}.encoding.compression.gzip.${name}`,
  ),
  ...["encoder.concurrency", "inputBuffer", "maxChunkSize", "failedChunksThreshold"].map(
    (name) => `${LOCAL}.encoding.${name}`,
  ),
  ...[
    "checkInterval",
    "countTrigger",
    "intervalTrigger",
    "uncompressedBytesTrigger",
    "compressedBytesTrigger",
  ].map((name) => `${LOCAL}.encoding.sync.${name}`),
  `${LOCAL}.volume.assignment.count`,
  `${LOCAL}.volume.assignment.preferredTypes`,
  `${IMPORT}.trigger.expiration`,
];

const PROTECTED: ReadonlySet<string> = new Set([...FIXED.map(({ key }) => key), ...UNUSED]);

/**
 * All settings of an owner, ordered by key.
 * @param own what the owner has set
 * @param inherited what is in force where the owner has set nothing, apart from the defaults
 */
export function listSettings(
  owner: SettingScope,
  own: SettingValues,
  inherited: SettingValues = {},
): readonly ListedSetting[] {
  const changeable = describeSettings(owner).map(({ name, kind, initial, min, max }): ListedSetting => {
    const defaultValue = inherited[name] ?? typedValue(kind, initial);
    return {
      key: name,
      type: kind === "count" ? "int" : kind === "flag" ? "bool" : "string",
      description: DESCRIPTIONS[name] ?? "",
      value: own[name] ?? defaultValue,
      defaultValue,
      overwritten: name in own,
      protected: false,
      ...(kind === "flag" ? {} : { validation: `minimum ${min}, maximum ${max}` }),
    };
  });
  const fixed = FIXED.map((setting): ListedSetting => {
    return { ...setting, defaultValue: setting.value, overwritten: false, protected: true };
  });
  return [...changeable, ...fixed].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Where a request says the change. */
export function settingField(index: number): string {
  return `body.settings[${index}]`;
}

/** @throws {ApiError} 400 about keys that are unknown or given twice, 403 about protected ones */
export function checkSettingKeys(changes: readonly SettingChange[], owner: SettingScope): void {
  const known = new Set(describeSettings(owner).map(({ name }) => name));
  const seen = new Set<string>();
  const problems: Problem[] = [];
  const refused: string[] = [];
  for (const [i, { key }] of changes.entries()) {
    const field = settingField(i);
    if (PROTECTED.has(key)) refused.push(key);
    else if (!known.has(key))
      problems.push({ name: "badRequest", message: `key not found: "${key}"`, field });
    else if (seen.has(key)) {
      problems.push({ name: "badRequest", message: `key is given twice: "${key}"`, field });
    }
    seen.add(key);
  }
  refuseProblems(problems);
  if (refused.length === 0) return;
  const keys = refused.map((key) => `"${key}"`).join(", ");
  throw new ApiError("forbidden", `Cannot modify protected keys: ${keys}`);
}

function typedValue(kind: SettingKind, text: string): string | number | boolean {
  switch (kind) {
    case "count":
      return Number(text);
    case "flag":
      return text === "true";
    case "size":
    case "interval":
      return text;
  }
}
