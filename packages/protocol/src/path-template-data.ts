// What the template of a path postfix can speak of: `.Spool`, and the journal's spec, whose fields stand beside it.
//
// Gazette validates a template with zero values of one shape and evaluates it with another one later. What is only in
// the second is not here: no template that speaks of it can be stored. `.Fragment` is the spec's; Gazette takes it when
// a spec is applied and cannot evaluate it ever after.
import { COMPRESSION_CODEC, FLAG, SUSPEND_LEVEL, type CompressionCodec } from "./enums.ts";
import { codecExtension } from "./fragment-name.ts";
import { goDuration, goTime } from "./go-time-value.ts";
import {
  field,
  goBool,
  goInt,
  goNamed,
  goString,
  goStrings,
  method,
  type GoMember,
  type GoValue,
} from "./go-value.ts";
import type { FragmentSpec, JournalSpec, Suspend } from "./journal-spec.ts";
import { valueOf, valuesOf, type LabelSet } from "./label-set.ts";

/** The fragment that is to be persisted, and its journal. */
export interface PathTemplateScope {
  readonly spec: JournalSpec;
  readonly begin: number;
  readonly end: number;
  /** SHA-1 of its content, 40 hex digits. */
  readonly sum: string;
  /** Of the fragment's first byte, Unix milliseconds. */
  readonly firstAppendMs: number;
  readonly registers: LabelSet;
}

type Members = Readonly<Record<string, GoMember>>;

const SPOOL_TYPE = "struct { protocol.Fragment; FirstAppendTime time.Time; Registers protocol.LabelSet }";
const TYPE = `struct { Spool ${SPOOL_TYPE}; protocol.JournalSpec }`;
const SUSPEND_TYPE = "protocol.JournalSpec_Suspend";

export function pathTemplateData(scope: PathTemplateScope): GoValue {
  const ofSpec = specMembers(scope.spec);
  const spec = struct("protocol.JournalSpec", ofSpec);
  const spool = struct(SPOOL_TYPE, spoolMembers(scope));
  return struct(TYPE, { ...ofSpec, JournalSpec: field(spec), Spool: field(spool) });
}

function struct(type: string, members: Members): GoValue {
  return { kind: "struct", type, members: () => members };
}

function spoolMembers({ spec, begin, end, sum, firstAppendMs, registers }: PathTemplateScope): Members {
  const fragment: Members = {
    Journal: field(journalName(spec.name)),
    Begin: field(goInt(begin, "int64")),
    End: field(goInt(end, "int64")),
    Sum: field(struct("protocol.SHA1Sum", sumMembers(sum))),
    CompressionCodec: field(codec(spec.fragment.compressionCodec)),
    BackingStore: field(typedString(spec.fragment.stores[0] ?? "", "protocol.FragmentStore")),
    ModTime: field(goInt(0, "int64")),
    PathPostfix: field(goString("")),
  };
  return {
    ...fragment,
    Fragment: field(struct("protocol.Fragment", fragment)),
    FirstAppendTime: field(goTime(firstAppendMs)),
    Registers: field(struct("protocol.LabelSet", labelMembers(registers))),
  };
}

function specMembers(spec: JournalSpec): Members {
  const labels = labelMembers(spec.labels);
  return {
    ...labels,
    LabelSet: field(struct("protocol.LabelSet", labels)),
    Name: field(journalName(spec.name)),
    Replication: field(goInt(spec.replication, "int32")),
    Fragment: field(struct("protocol.JournalSpec_Fragment", fragmentSpecMembers(spec.fragment))),
    Flags: field(flags(spec)),
    MaxAppendRate: field(goInt(spec.maxAppendRate, "int64")),
    Suspend: field(suspend(spec.suspend)),
  };
}

function fragmentSpecMembers(fragment: FragmentSpec): Members {
  const stores = fragment.stores.map((url) => typedString(url, "protocol.FragmentStore"));
  return {
    Length: field(goInt(fragment.length, "int64")),
    CompressionCodec: field(codec(fragment.compressionCodec)),
    Stores: field({ kind: "list", type: "[]protocol.FragmentStore", items: stores }),
    RefreshInterval: field(goDuration(fragment.refreshIntervalMs)),
    Retention: field(goDuration(fragment.retentionMs)),
    FlushInterval: field(goDuration(fragment.flushIntervalMs)),
    PathPostfixTemplate: field(goString(fragment.pathPostfixTemplate)),
  };
}

function labelMembers(set: LabelSet): Members {
  const items = set.labels.map(({ name, value, prefix }) =>
    struct("protocol.Label", {
      Name: field(goString(name)),
      Value: field(goString(value)),
      Prefix: field(goBool(prefix)),
    }),
  );
  const named = (of: (name: string) => GoValue): GoMember => ({
    kind: "method",
    parameters: ["string"],
    call: (name) => of(name?.kind === "string" ? name.value : ""),
  });
  return {
    Labels: field({ kind: "list", type: "[]protocol.Label", items }),
    ValueOf: named((name) => goString(valueOf(set, name))),
    ValuesOf: named((name) => goStrings(valuesOf(set, name))),
  };
}

function sumMembers(sum: string): Members {
  const word = (begin: number, end: number, type: string): GoMember =>
    field({ kind: "uint", type, value: BigInt(`0x${sum.slice(begin, end)}`) });
  const bytes = Array.from({ length: 20 }, (_, i): GoValue => {
    return { kind: "uint", type: "uint8", value: BigInt(`0x${sum.slice(2 * i, 2 * i + 2)}`) };
  });
  return {
    Part1: word(0, 16, "uint64"),
    Part2: word(16, 32, "uint64"),
    Part3: word(32, 40, "uint32"),
    IsZero: method(() => goBool(/^0*$/.test(sum))),
    ToDigest: method(() => ({ kind: "list", type: "[20]uint8", items: bytes })),
  };
}

function journalName(name: string): GoValue {
  const text = (): string => name;
  const members = { String: method(() => goString(name)) };
  return { kind: "string", type: "protocol.Journal", value: name, text, members: () => members };
}

function typedString(value: string, type: string): GoValue {
  return { kind: "string", type, value };
}

function codec(name: CompressionCodec): GoValue {
  const value = goNamed(COMPRESSION_CODEC[name], "protocol.CompressionCodec", name);
  if (name === "INVALID") return value;
  const extension = method(() => goString(codecExtension(name)));
  return { ...value, members: () => ({ ...value.members?.(), ToExtension: extension }) };
}

function flags(spec: JournalSpec): GoValue {
  const [name = String(spec.flags)] = Object.entries(FLAG).find(([, flag]) => flag === spec.flags) ?? [];
  const value = goNamed(spec.flags, "protocol.JournalSpec_Flag", name);
  const isKnown = name !== String(spec.flags);
  const may = {
    MayRead: method(() => goBool(isKnown && spec.flags !== FLAG.O_WRONLY)),
    MayWrite: method(() => goBool(isKnown && spec.flags !== FLAG.O_RDONLY)),
  };
  return { ...value, members: () => ({ ...value.members?.(), ...may }) };
}

function suspend(given: Suspend | undefined): GoValue {
  if (given === undefined) return { kind: "nil", type: `*${SUSPEND_TYPE}` };
  const { level, offset } = given;
  const type = `${SUSPEND_TYPE}_Level`;
  return struct(`*${SUSPEND_TYPE}`, {
    Level: field(goNamed(SUSPEND_LEVEL[level], type, level)),
    Offset: field(goInt(offset, "int64")),
  });
}
