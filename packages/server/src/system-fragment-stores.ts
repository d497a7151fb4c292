// Stores of fragments for a command that works on them itself.
import { resolve } from "node:path";
import { systemClock, systemRandom } from "@millrace/base";
import { openStores, type ObjectStores } from "@millrace/stores";

/** @param root under which `file://` stores are */
export function openFragmentStores(root: string): ObjectStores {
  return openStores({ root: resolve(root), clock: systemClock, random: systemRandom, env: process.env });
}
