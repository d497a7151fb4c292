// Stand-ins until the packages below export the real ones.
import {
  compareText,
  type JournalSpec,
  type Label,
  type LabelSelector,
  type LabelSet,
  type Route,
} from "@millrace/protocol";

export function mayRead(spec: JournalSpec): boolean {
  return spec.flags === 0 || spec.flags === 1 || spec.flags === 4;
}
export function mayWrite(spec: JournalSpec): boolean {
  return spec.flags === 0 || spec.flags === 2 || spec.flags === 4;
}
export function selectorMatches(selector: LabelSelector, set: LabelSet): boolean {
  const hit = (l: Label): boolean =>
    set.labels.some(
      (s) =>
        s.name === l.name &&
        (l.value === "" || (l.prefix ? s.value.startsWith(l.value) : s.value === l.value)),
    );
  if (selector.exclude.labels.some(hit)) return false;
  const names = new Set(selector.include.labels.map((l) => l.name));
  return [...names].every((name) => selector.include.labels.some((l) => l.name === name && hit(l)));
}
export function equivalentRoutes(a: Route, b: Route): boolean {
  return (
    a.primary === b.primary &&
    a.members.length === b.members.length &&
    a.members.every(
      (m, i) => compareText(m.zone, b.members[i]!.zone) === 0 && m.suffix === b.members[i]!.suffix,
    )
  );
}
