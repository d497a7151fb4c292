// Where a journal's local bytes stand. A journal's name may hold anything that a token may, so it never chooses a
// path: it is cut and cleaned for the eye, and the hash of the whole name keeps journals apart.
//
//   spools/<cleaned name, up to 80>~<16 hex of its SHA-1>@<createRevision>/<begin in 16 hex>.raw, or .copy
import { hex16, utf8 } from "@millrace/base";
import { RunningSha1 } from "./system-sha1.ts";

export const SPOOLS_DIR = "spools";
export const QUARANTINE_DIR = "quarantine";

const READABLE_CHARS_MAX = 80;

/** Directory of one life of a journal, relative to the disk's root. */
export function spoolDir(journal: string, createRevision: number): string {
  const readable = journal.slice(0, READABLE_CHARS_MAX).replaceAll(/[^A-Za-z0-9_-]/g, "_");
  const sha1 = new RunningSha1();
  sha1.update(utf8(journal));
  return `${SPOOLS_DIR}/${readable}~${sha1.hex().slice(0, 16)}@${createRevision}`;
}

export function fragmentFile(begin: number): string {
  return `${hex16(begin)}.raw`;
}

/** A fragment that is copied from another broker, until it is whole. */
export function copyFile(begin: number): string {
  return `${hex16(begin)}.copy`;
}

export function isCopyFile(name: string): boolean {
  return /^[0-9a-f]{16}\.copy$/.test(name);
}

/** Begin of the fragment that a file of a spool's directory holds; undefined for any other file. */
export function parseFragmentFile(name: string): number | undefined {
  const digits = /^([0-9a-f]{16})\.raw$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const begin = Number.parseInt(digits, 16);
  return Number.isSafeInteger(begin) ? begin : undefined;
}
