// Names in the order of their keys, in an array that is searched and changed in place.
import { compareText } from "@millrace/protocol";

/** Where `name` is, or would be: the first that is not below it. */
export function placeOf(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareText(names[middle]!, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
