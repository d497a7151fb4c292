// Labels and label sets. A LabelSet is sorted by (name, value) in UTF-8 byte order and has no duplicates; every
// operation here keeps that order and returns a new set. A "group" is the run of labels with one name.
import { compareText } from "./text-order.ts";

/** `prefix` is legal in a LabelSelector only: the value then matches values that start with it. */
export interface Label {
  readonly name: string;
  readonly value: string;
  readonly prefix: boolean;
}

export interface LabelSet {
  readonly labels: readonly Label[];
}

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
