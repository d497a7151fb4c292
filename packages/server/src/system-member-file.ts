// `<data>/member.json`: which cluster's broker a data directory is, when its coordination store is an etcd elsewhere.
//
//  B1  A directory belongs to one cluster: what its log holds are journals of that etcd, below that prefix. Elsewhere
//      nobody would know them, and what is not in a store yet would be set aside. So a start that finds another cluster
//      id or prefix is refused: it was pointed at the wrong one.
//  B2  The lease is kept before anything stands under it, so that the next life revokes it instead of waiting for its
//      end (D16). It is that of this very directory: a copy of one that is in use must not end its broker.
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { hex, WireError, type Random } from "@millrace/base";
import { COORDINATION_DIR, MEMBER_FILE } from "./data-layout.ts";
import { fileError, namingFile } from "./system-file-errors.ts";

export interface Member {
  /** etcd's cluster id. */
  readonly cluster: bigint;
  /** Root of the brokers' keys. */
  readonly prefix: string;
  /** The broker's id where none is given. */
  readonly id: string;
  /** Of the life that wrote it, which may have given it back; undefined in a copy of the directory. */
  readonly lease: bigint | undefined;
}

/** @returns undefined when the directory is no broker of a cluster @throws {WireError} CORRUPT */
export function readMember(dataDirectory: string): Member | undefined {
  const file = join(dataDirectory, MEMBER_FILE);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(file, error);
  }
  const member = memberOf(text, placeOf(dataDirectory));
  if (member === undefined) throw new WireError("CORRUPT", `${file}: it does not say whose broker this is`);
  return member;
}

/** As written before, or a new one. @throws {WireError} CONFLICT (B1); CORRUPT */
export function openMember(
  dataDirectory: string,
  { cluster, prefix }: { readonly cluster: bigint; readonly prefix: string },
  random: Random,
): Member {
  const known = readMember(dataDirectory);
  if (known === undefined) {
    if (existsSync(join(dataDirectory, COORDINATION_DIR))) throw hasStore(dataDirectory);
    const id = `broker-${hex(random.fill(new Uint8Array(4)))}`;
    const member = { cluster, prefix, id, lease: undefined };
    writeMember(dataDirectory, member);
    return member;
  }
  if (known.cluster === cluster && known.prefix === prefix) return known;
  const there = `etcd cluster ${idText(cluster)}, prefix ${prefix}`;
  throw new WireError(
    "CONFLICT",
    `${dataDirectory} holds journals of etcd cluster ${idText(known.cluster)}, prefix ${known.prefix}, and ` +
      `--etcd.address leads to ${there}: give the address and prefix of its own, or another --data`,
  );
}

/** @throws {WireError} CONFLICT when the directory belongs to a cluster whose etcd was not given */
export function refuseMember(dataDirectory: string): void {
  const member = readMember(dataDirectory);
  if (member === undefined) return;
  throw new WireError(
    "CONFLICT",
    `${dataDirectory} holds journals of etcd cluster ${idText(member.cluster)}, prefix ${member.prefix}: ` +
      `give --etcd.address, or another --data`,
  );
}

/** In one step, synced. @throws {WireError} DISK_FULL, UNAVAILABLE */
export function writeMember(dataDirectory: string, member: Member): void {
  const { cluster, prefix, id, lease } = member;
  const file = join(dataDirectory, MEMBER_FILE);
  const place = placeOf(dataDirectory);
  const fields = { cluster: String(cluster), prefix, id, lease: String(lease ?? 0n), place };
  namingFile(file, () => {
    const temporary = `${file}.new`;
    synced(temporary, "w", (to) => void writeSync(to, `${JSON.stringify(fields)}\n`));
    renameSync(temporary, file);
    synced(dataDirectory, "r", () => undefined);
  });
}

function synced(path: string, flags: "w" | "r", work: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags);
  try {
    work(descriptor);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Tells a directory from its copies, as long as the machine runs and nothing is mounted anew. */
function placeOf(dataDirectory: string): string {
  const { dev, ino } = statSync(dataDirectory);
  return `${dev}:${ino}`;
}

/** @param here of the directory in which the text was found */
function memberOf(text: string, here: string): Member | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { cluster, prefix, id, lease, place } = json as Readonly<Record<string, unknown>>;
  const isWhole =
    isMatch(cluster, /^\d{1,20}$/) &&
    isMatch(prefix, /^\//) &&
    isMatch(id, /./) &&
    isMatch(lease, /^\d{1,20}$/);
  if (!isWhole) return undefined;
  return {
    cluster: BigInt(cluster),
    prefix,
    id,
    lease: lease === "0" || place !== here ? undefined : BigInt(lease),
  };
}

function isMatch(value: unknown, pattern: RegExp): value is string {
  return typeof value === "string" && pattern.test(value);
}

function hasStore(dataDirectory: string): WireError {
  return new WireError(
    "CONFLICT",
    `${dataDirectory} has a coordination store of its own, whose journals no etcd knows: give another --data, or no ` +
      `--etcd.address`,
  );
}

/** As etcdctl shows it. */
function idText(cluster: bigint): string {
  return cluster.toString(16);
}
