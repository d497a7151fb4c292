// Which setting somebody may have meant who wrote a name that is none.
import { environmentName, SETTING_NAMES } from "./settings.ts";

/** As many letters may be missing, added or changed. */
const TYPOS_MAX = 2;

/** ` (did you mean …?)`, or nothing. */
export function didYouMean(name: string): string {
  const tail = name.split(".").at(-1);
  return sentence(SETTING_NAMES.filter((known) => known.split(".").at(-1) === tail || isClose(known, name)));
}

/** The same for a variable of the environment. */
export function didYouMeanVariable(name: string): string {
  return sentence(SETTING_NAMES.map(environmentName).filter((known) => isClose(known, name)));
}

function sentence(similar: readonly string[]): string {
  return similar.length === 0 ? "" : ` (did you mean ${similar.join(" or ")}?)`;
}

function isClose(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > TYPOS_MAX) return false;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]! <= TYPOS_MAX;
}
