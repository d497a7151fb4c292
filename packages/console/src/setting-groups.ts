// Settings as a person looks for them: in groups, with a name and a unit each. What is in no group here is shown all
// the same, by its key.
import type { Setting } from "./stream-definitions.ts";

export interface NamedSetting {
  readonly setting: Setting;
  readonly label: string;
  /** How a value is written; "" when its form says it. */
  readonly unit: string;
}

export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly NamedSetting[];
}

const SIZE = "B, KB, MB or GB";
const TIME = "ms, s, m or h";
const RECORDS = "records";

type Names = readonly (readonly [key: string, label: string, unit: string])[];

const LOCAL = "storage.level.local";
const level = (prefix: string, what: string): Names => [
  [`${prefix}.trigger.count`, "At so many records", RECORDS],
  [`${prefix}.trigger.interval`, "At an age of", TIME],
  [`${prefix}.trigger.size`, "At a size of", SIZE],
  [`${prefix}.minInterval`, `Time between two ${what}, at least`, TIME],
];

const GROUPS: readonly (readonly [title: string, names: Names])[] = [
  [
    "Limits and quota",
    [
      ["source.limit.records", "Records in a second, at most", RECORDS],
      ["source.limit.bytes", "Bytes in a second, at most", SIZE],
      [`${LOCAL}.quota`, "Bytes that may wait for the table", SIZE],
    ],
  ],
  [
    "Dead letters",
    [
      [`${LOCAL}.deadLetters.enabled`, "Keep what cannot be mapped", ""],
      [`${LOCAL}.deadLetters.retention`, "Kept for", TIME],
      [`${LOCAL}.deadLetters.size`, "Kept up to", SIZE],
    ],
  ],
  ["Answers", [[`${LOCAL}.encoding.sync.wait`, "Answer when it is on disk", ""]]],
  ["A slice is uploaded", level("storage.level.staging.upload", "uploads")],
  ["A file is imported into the table", level("storage.level.target.import", "imports")],
];

/** Those that can be changed, in groups; a group that the owner has nothing of is left out. */
export function settingGroups(settings: readonly Setting[]): readonly SettingGroup[] {
  const rest = new Map(settings.filter((one) => !one.protected).map((one) => [one.key, one]));
  const groups = GROUPS.map(([title, names]): SettingGroup => {
    const found = names.flatMap(([key, label, unit]): NamedSetting[] => {
      const setting = rest.get(key);
      rest.delete(key);
      return setting === undefined ? [] : [{ setting, label, unit }];
    });
    return { title, settings: found };
  });
  const others = [...rest.values()].map((setting) => ({ setting, label: setting.key, unit: "" }));
  return [...groups, { title: "Others", settings: others }].filter((group) => group.settings.length > 0);
}
