// Selectors over label sets: every name of `include` must match, no name of `exclude` may. Several values of one
// name are alternatives. Gazette matches values with a merge walk that can miss a prefix match when selector and
// set both have several values of a name; here any value may match any, which is what the selector says.
//
//   LabelSelector  1 include LabelSet · 2 exclude LabelSet
import { message, nested, within } from "@millrace/protobuf";
import {
  EMPTY_LABELS,
  labelGroups,
  labelSetMessage,
  sortedSet,
  validateLabelSet,
  type Label,
  type LabelSet,
} from "./label-set.ts";

/** Labels of both sets may have `prefix` set. */
export interface LabelSelector {
  readonly include: LabelSet;
  readonly exclude: LabelSet;
}

export const labelSelectorMessage = message<LabelSelector>({
  include: nested(1, labelSetMessage),
  exclude: nested(2, labelSetMessage),
});

/** Matches everything. */
export const ANY_LABELS: LabelSelector = { include: EMPTY_LABELS, exclude: EMPTY_LABELS };

/** @throws {ValidationError} */
export function validateLabelSelector(selector: LabelSelector): void {
  within("Include", () => validateLabelSet(selector.include, "allowed"));
  within("Exclude", () => validateLabelSet(selector.exclude, "allowed"));
}

/** Whether `selector` matches `set`; for journals, of the set extended with `name` (see extendedLabels). */
export function matchesSelector(selector: LabelSelector, set: LabelSet): boolean {
  for (const group of labelGroups(selector.exclude).values()) {
    if (anyMatches(group, set)) return false;
  }
  for (const group of labelGroups(selector.include).values()) {
    if (!anyMatches(group, set)) return false;
  }
  return true;
}

/**
 * `selector` with labels `prefix=x/` turned into prefix matches of `name`, as listings understand them.
 * They become alternatives to values of `name` that are there already.
 */
export function withNamePrefixes(selector: LabelSelector): LabelSelector {
  return { include: namePrefixes(selector.include), exclude: namePrefixes(selector.exclude) };
}

/**
 * The text of a valid selector that parseLabelSelector reads back as the same selector: includes, then excludes,
 * by name, without spaces. An included value that begins with `=` is written as a set, since `a==b` reads as
 * `a=b`.
 */
export function printLabelSelector(selector: LabelSelector): string {
  return [...printGroups(selector.include, ""), ...printGroups(selector.exclude, "!")].join(",");
}

function anyMatches(group: readonly Label[], set: LabelSet): boolean {
  const name = group[0]!.name;
  return set.labels.some(
    (item) => item.name === name && group.some((wanted) => valueMatches(wanted, item.value)),
  );
}

function valueMatches(wanted: Label, value: string): boolean {
  if (wanted.value === "") return true; // The label's presence is enough.
  return wanted.prefix ? value.startsWith(wanted.value) : value === wanted.value;
}

function namePrefixes(set: LabelSet): LabelSet {
  const renamed = set.labels.map((item) =>
    item.name === "prefix" ? { name: "name", value: item.value, prefix: true } : item,
  );
  return sortedSet(renamed);
}

function printGroups(set: LabelSet, not: "" | "!"): string[] {
  const qualified = set.labels.map((item) => ({
    ...item,
    name: item.prefix ? `${item.name}:prefix` : item.name,
  }));
  return [...labelGroups(sortedSet(qualified))].map(([name, group]) => {
    const values = group.map((item) => item.value);
    const [only] = values;
    if (values.length === 1 && only === "") return `${not}${name}`;
    if (values.length === 1 && (not === "!" || !only!.startsWith("="))) return `${name}${not}=${only}`;
    return `${name} ${not === "" ? "in" : "notin"} (${values.join(",")})`;
  });
}
