// Journal specs as sets of fields that are either stated or zero: what a tree of specs inherits, shares and
// states. `suspend` belongs to one journal and takes no part: a union and a difference keep the left one, an
// intersection has none.
import { intersectLabels, subtractLabels, unionLabels } from "./label-set.ts";
import { newJournalSpec, type FragmentSpec, type JournalSpec } from "./journal-spec.ts";

const ZERO = newJournalSpec({});

/** `left` with its zero fields taken from `right`; labels by whole groups. */
export function unionSpecs(left: JournalSpec, right: JournalSpec): JournalSpec {
  return {
    ...left,
    replication: left.replication || right.replication,
    labels: unionLabels(left.labels, right.labels),
    fragment: mapFragment((field) => (isZero(left.fragment, field) ? right.fragment : left.fragment)),
    flags: left.flags || right.flags,
    maxAppendRate: left.maxAppendRate || right.maxAppendRate,
  };
}

/** The fields in which both agree; those of `left` for the name. */
export function intersectSpecs(left: JournalSpec, right: JournalSpec): JournalSpec {
  return {
    name: left.name,
    replication: left.replication === right.replication ? left.replication : 0,
    labels: intersectLabels(left.labels, right.labels),
    fragment: mapFragment((field) => (agree(left, right, field) ? left.fragment : ZERO.fragment)),
    flags: left.flags === right.flags ? left.flags : 0,
    maxAppendRate: left.maxAppendRate === right.maxAppendRate ? left.maxAppendRate : 0,
  };
}

/** `left` without the fields in which both agree. */
export function subtractSpecs(left: JournalSpec, right: JournalSpec): JournalSpec {
  return {
    ...left,
    replication: left.replication === right.replication ? 0 : left.replication,
    labels: subtractLabels(left.labels, right.labels),
    fragment: mapFragment((field) => (agree(left, right, field) ? ZERO.fragment : left.fragment)),
    flags: left.flags === right.flags ? 0 : left.flags,
    maxAppendRate: left.maxAppendRate === right.maxAppendRate ? 0 : left.maxAppendRate,
  };
}

/** Whether nothing is stated in `fragment`. */
export function isZeroFragmentSpec(fragment: FragmentSpec): boolean {
  return FRAGMENT_FIELDS.every((field) => isZero(fragment, field));
}

type FragmentField = keyof FragmentSpec;

const FRAGMENT_FIELDS: readonly FragmentField[] = [
  "length",
  "compressionCodec",
  "stores",
  "refreshIntervalMs",
  "retentionMs",
  "flushIntervalMs",
  "pathPostfixTemplate",
];

/** A fragment spec that takes each field from the spec that `source` picks for it. */
function mapFragment(source: (field: FragmentField) => FragmentSpec): FragmentSpec {
  return {
    length: source("length").length,
    compressionCodec: source("compressionCodec").compressionCodec,
    stores: source("stores").stores,
    refreshIntervalMs: source("refreshIntervalMs").refreshIntervalMs,
    retentionMs: source("retentionMs").retentionMs,
    flushIntervalMs: source("flushIntervalMs").flushIntervalMs,
    pathPostfixTemplate: source("pathPostfixTemplate").pathPostfixTemplate,
  };
}

function agree(left: JournalSpec, right: JournalSpec, field: FragmentField): boolean {
  return equalFields(left.fragment, right.fragment, field);
}

function isZero(fragment: FragmentSpec, field: FragmentField): boolean {
  return equalFields(fragment, ZERO.fragment, field);
}

function equalFields(a: FragmentSpec, b: FragmentSpec, field: FragmentField): boolean {
  if (field !== "stores") return a[field] === b[field];
  return a.stores.length === b.stores.length && a.stores.every((store, i) => store === b.stores[i]);
}
