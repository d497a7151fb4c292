// Goes through a request of any signal, in either encoding, part by part: a resource, a scope, a record at a time, so
// that whoever drives it can do something else in between.
//
// D1 All or nothing: records are given out when all of them are there.
// D2 Between two yields there is one part with at most PART_ITEMS_MAX items, a list of at most `recordsMax` parts, or
//    some values of JSON. What lists hold is counted before any of it is opened.
// D3 Memory for records is said before it is reserved, so that whoever drives it can have it wait.
import { strictText } from "@millrace/base";
import { decode, invalid } from "@millrace/protobuf";
import { walkExactJson } from "./exact-json.ts";
import { resourceJson, scopeJson } from "./flat-json.ts";
import { type FlatRecords, FlatWriter, type Signal } from "./flat-records.ts";
import { LOGS } from "./flatten-logs.ts";
import { METRICS } from "./flatten-metrics.ts";
import { TRACES } from "./flatten-traces.ts";
import type { FlattenLimits } from "./limits.ts";
import { type OtlpEncoding, PartOpening } from "./part-opening.ts";
import type { SignalParts } from "./signal-parts.ts";

export interface RequestKind {
  readonly signal: Signal;
  readonly encoding: OtlpEncoding;
}

/** Yields between parts; a number: so many bytes it reserves when it goes on. What it throws, `walkRequest` says. */
export type RequestWalk = Generator<number | undefined, FlatRecords, undefined>;

/**
 * The records of a request's body.
 * @throws {WireError} INVALID_ARGUMENT that names the field or the position; TOO_LARGE with value and bound
 */
export function walkRequest(kind: RequestKind, body: Uint8Array, limits: FlattenLimits): RequestWalk {
  switch (kind.signal) {
    case "logs":
      return walkParts(LOGS, kind, body, limits);
    case "metrics":
      return walkParts(METRICS, kind, body, limits);
    case "traces":
      return walkParts(TRACES, kind, body, limits);
  }
}

/** The same at once. */
export function recordsOf(kind: RequestKind, body: Uint8Array, limits: FlattenLimits): FlatRecords {
  const walk = walkRequest(kind, body, limits);
  for (;;) {
    const step = walk.next();
    if (step.done === true) return step.value;
  }
}

function* walkParts<I>(
  { names, request, records: recordsOfItem }: SignalParts<I>,
  { signal, encoding }: RequestKind,
  body: Uint8Array,
  limits: FlattenLimits,
): RequestWalk {
  const out = new FlatWriter(limits);
  const opening = new PartOpening(encoding, limits);
  const { groups } =
    encoding === "protobuf"
      ? decode(request, body, opening.lists())
      : request.fromJson(yield* walkExactJson(textOf(body)));
  const inGroup = [names.groups];
  const inScope = [...inGroup, names.scopes];
  const inItem = [...inScope, names.items];
  for (let g = 0; g < groups.length; g++) {
    yield;
    const { resource, scopes } = opening.holder(groups, g, inGroup);
    const resourceText = resourceJson(opening.one(resource, [...inGroup, "resource"]));
    for (let s = 0; s < scopes.length; s++) {
      yield;
      const { scope, items } = opening.holder(scopes, s, inScope);
      out.expect(items.length); // D2
      const scopeText = scopeJson(opening.one(scope, [...inScope, "scope"]));
      const place = { opening, path: inItem, origin: `"resource":${resourceText},"scope":${scopeText}` };
      for (let i = 0; i < items.length; i++) {
        const { count, json } = recordsOfItem(items, i, place);
        out.expect(count);
        for (let r = 0; r < count; r++) {
          const record = json(r);
          const growth = out.growth(record);
          if (growth > 0) yield growth; // D3
          out.add(record);
          yield;
        }
      }
    }
  }
  return out.finish(signal);
}

function textOf(body: Uint8Array): string {
  return strictText(body) ?? invalid("invalid JSON: not UTF-8");
}
