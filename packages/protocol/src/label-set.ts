// Labels and label sets. A LabelSet is sorted by (name, value) in UTF-8 byte order and has no duplicates; every
// operation here keeps that order and returns a new set. A "group" is the run of labels with one name.
//
//   Label     1 name string · 2 value string · 3 prefix bool
//   LabelSet  1 labels repeated Label
import { bool, codecs, invalid, message, repeated, string, within } from "@millrace/protobuf";
import { LABEL_NAME_BYTES, LABEL_VALUE_BYTES } from "./limits.ts";
import { compareText } from "./text-order.ts";
import { validatePathToken, validateToken } from "./token.ts";

/** `prefix` is legal in a LabelSelector only: the value then matches values that start with it. */
export interface Label {
  readonly name: string;
  readonly value: string;
  readonly prefix: boolean;
}

export interface LabelSet {
  readonly labels: readonly Label[];
}

const labelMessage = message<Label>({ name: string(1), value: string(2), prefix: bool(3) });

export const labelSetMessage = message<LabelSet>({ labels: repeated(1, labelMessage) });

export const { encode: encodeLabelSet, decode: decodeLabelSet } = codecs(labelSetMessage);

export const EMPTY_LABELS: LabelSet = { labels: [] };

export function label(name: string, value = ""): Label {
  return { name, value, prefix: false };
}

/** The set of the given (name, value) pairs; exact duplicates collapse. */
export function labelSet(...pairs: readonly (readonly [name: string, value: string])[]): LabelSet {
  return sortedSet(pairs.map(([name, value]) => label(name, value)));
}

/** A set of these labels in any order; exact duplicates collapse. */
export function sortedSet(labels: readonly Label[]): LabelSet {
  const sorted = [...labels].sort(compareLabels);
  return { labels: sorted.filter((item, i) => i === 0 || compareLabels(sorted[i - 1]!, item) !== 0) };
}

/** Order by name, then value, then prefix (false first). */
export function compareLabels(a: Label, b: Label): number {
  return compareText(a.name, b.name) || compareText(a.value, b.value) || Number(a.prefix) - Number(b.prefix);
}

export function equalLabelSets(a: LabelSet, b: LabelSet): boolean {
  return equalGroups(a.labels, b.labels);
}

/** All values of `name`, ascending; empty when the set has no such label. */
export function valuesOf(set: LabelSet, name: string): readonly string[] {
  return set.labels.filter((item) => item.name === name).map((item) => item.value);
}

/** The first value of `name`, or "" when the set has no such label. */
export function valueOf(set: LabelSet, name: string): string {
  return set.labels.find((item) => item.name === name)?.value ?? "";
}

/** Replaces the group of `name` by the one value. */
export function withLabel(set: LabelSet, name: string, value: string): LabelSet {
  return sortedSet([...set.labels.filter((item) => item.name !== name), label(name, value)]);
}

/** Adds one value to the group of `name`. */
export function withAddedLabel(set: LabelSet, name: string, value: string): LabelSet {
  return sortedSet([...set.labels, label(name, value)]);
}

/** Removes the group of `name`. */
export function withoutLabel(set: LabelSet, name: string): LabelSet {
  return { labels: set.labels.filter((item) => item.name !== name) };
}

/** Per name: the left group if there is one, else the right group. */
export function unionLabels(left: LabelSet, right: LabelSet): LabelSet {
  return merge(left, right, (l, r) => l ?? r ?? []);
}

/** The groups that are identical on both sides. */
export function intersectLabels(left: LabelSet, right: LabelSet): LabelSet {
  return merge(left, right, (l, r) => (l !== undefined && r !== undefined && equalGroups(l, r) ? l : []));
}

/** The left groups, without those for which the right side has the identical group. */
export function subtractLabels(left: LabelSet, right: LabelSet): LabelSet {
  return merge(left, right, (l, r) => (l === undefined || (r !== undefined && equalGroups(l, r)) ? [] : l));
}

/** Labels a journal or shard is selected by: its own with `name=<name>`, which wins over a label of that name. */
export function extendedLabels(name: string, labels: LabelSet): LabelSet {
  return withLabel(labels, "name", name);
}

/**
 * Registers after an append: first without `subtract`, then with the groups of `union` in place of its own.
 * Either may be absent.
 */
export function updatedRegisters(
  registers: LabelSet,
  change: { readonly union: LabelSet | undefined; readonly subtract: LabelSet | undefined },
): LabelSet {
  const rest = change.subtract === undefined ? registers : subtractLabels(registers, change.subtract);
  return change.union === undefined ? rest : unionLabels(change.union, rest);
}

/** @param prefixes whether labels may have `prefix`: in selectors only @throws {ValidationError} */
export function validateLabelSet(set: LabelSet, prefixes: "allowed" | "refused" = "refused"): void {
  set.labels.forEach((item, i) => {
    within(`Labels[${i}]`, () => validateLabel(item, prefixes));
    const before = set.labels[i - 1];
    if (before !== undefined) validateOrder(before, item, i);
  });
}

/** @throws {ValidationError} */
export function validateLabel(item: Label, prefixes: "allowed" | "refused" = "refused"): void {
  within("Name", () => validateToken(item.name, LABEL_NAME_BYTES));
  within("Value", () => validatePathToken(item.value, LABEL_VALUE_BYTES));
  if (item.prefix && prefixes === "refused") invalid("Prefix may not be set outside of a LabelSelector");
}

function validateOrder(before: Label, item: Label, index: number): void {
  const order = compareText(before.name, item.name);
  if (order < 0) return;
  if (order > 0) {
    invalid(`Labels not in unique, sorted order (index ${index}; label name ${item.name} <= ${before.name})`);
  }
  const which = `index ${index}; label ${item.name} value ${item.value}`;
  if (compareText(before.value, item.value) >= 0) {
    invalid(`Labels not in unique, sorted order (${which} <= ${before.value})`);
  }
  if (before.value === "") invalid(`Label has empty & non-empty values (${which})`);
}

type Group = readonly Label[];

function merge(left: LabelSet, right: LabelSet, pick: (l?: Group, r?: Group) => Group): LabelSet {
  const l = labelGroups(left);
  const r = labelGroups(right);
  const names = [...new Set([...l.keys(), ...r.keys()])].sort(compareText);
  return { labels: names.flatMap((name) => pick(l.get(name), r.get(name))) };
}

/** The labels of each name, in order. */
export function labelGroups(set: LabelSet): ReadonlyMap<string, Group> {
  const groups = new Map<string, Label[]>();
  for (const item of set.labels) {
    const group = groups.get(item.name);
    if (group === undefined) groups.set(item.name, [item]);
    else group.push(item);
  }
  return groups;
}

function equalGroups(a: Group, b: Group): boolean {
  return a.length === b.length && a.every((item, i) => compareLabels(item, b[i]!) === 0);
}
