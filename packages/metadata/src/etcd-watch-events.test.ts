import { deepEqual, equal, throws } from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { builder } from "@millrace/protobuf";
import * as kv from "./etcd-api/kv.ts";
import { watchResponse, type Event, type WatchResponse } from "./etcd-api/watch.ts";
import { tellsProgress, WatchEvents, type WatchStep } from "./etcd-watch-events.ts";

const newResponse = builder(watchResponse);
const newKeyValue = builder(kv.keyValue);

function response(fields: Partial<WatchResponse>, revision = 100): WatchResponse {
  return newResponse({ header: { clusterId: 1n, memberId: 2n, revision, raftTerm: 3n }, ...fields });
}

function event(modRevision: number, key = "k"): Event {
  return { type: "PUT", kv: newKeyValue({ key, modRevision }) };
}

function told(steps: readonly WatchStep[]): string {
  const one = (step: WatchStep): string => {
    if (step.kind !== "batch") return step.kind;
    const events = step.batch.events.map(
      ({ kind, kv: { key, modRevision } }) => `${kind} ${key}@${modRevision}`,
    );
    return `[${events.join(" ")}] to ${step.batch.header.revision}`;
  };
  return steps.map(one).join("; ");
}

test("watch events: an answer -> a batch that ends at its last event, whatever the header says", () => {
  const events = new WatchEvents(5);
  equal(told(events.push(response({ created: true }))), "created");
  equal(events.next, 5);
  const deletion: Event = { type: "DELETE", kv: newKeyValue({ key: "k", modRevision: 7 }) };
  equal(
    told(events.push(response({ events: [event(5), event(7), deletion] }))),
    "[put k@5 put k@7 delete k@7] to 7",
  );
  equal(events.next, 8);
});

test("watch events: fragments -> each revision once the next one begins; a break goes on at the one cut off", () => {
  const events = new WatchEvents(5);
  const first = events.push(response({ fragment: true, events: [event(5, "a"), event(6, "a")] }));
  equal(told(first), "[put a@5] to 5");
  equal(told(events.push(response({ fragment: true, events: [event(6, "b")] }))), "");
  equal(told(events.push(response({}, 9))), "", "progress in between");
  equal(events.next, 6);
  equal(told(events.push(response({ events: [event(6, "c")] }))), "[put a@6 put b@6 put c@6] to 6");
  equal(events.next, 7);
});

test("watch events: progress -> a batch without events, unless it says nothing new", () => {
  const events = new WatchEvents(5);
  equal(told(events.push(response({}, 4))), "");
  equal(told(events.push(response({ watchId: -1 }, 9))), "[] to 9");
  equal(told(events.push(response({}, 9))), "");
  equal(events.next, 10);
});

test("watch events: canceled -> why", () => {
  const push = (fields: Partial<WatchResponse>): WatchStep[] => [
    ...new WatchEvents(5).push(response({ canceled: true, ...fields })),
  ];
  equal(told(push({ created: true, compactRevision: 9 })), "compacted");
  const [compacted] = push({ compactRevision: 9 });
  equal(compacted?.kind === "compacted" && compacted.error.code, "COMPACTED");
  const reasons: readonly (readonly [reason: string, code: string, message: string])[] = [
    [
      "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
      "PERMISSION_DENIED",
      "etcdserver: permission denied",
    ],
    ["rpc error: code = Unauthenticated desc = a\nb", "UNAUTHENTICATED", "a\nb"],
    ["etcdserver: no leader", "UNKNOWN", "etcdserver: no leader"],
    ["", "UNKNOWN", ""],
  ];
  for (const [cancelReason, code, message] of reasons) {
    deepEqual(push({ created: true, cancelReason }), [
      { kind: "canceled", end: { code, message, maybeProcessed: true } },
    ]);
  }
});

test("watch events: what etcd may not send -> refused", () => {
  const refusals: readonly (readonly [text: RegExp, ...responses: WatchResponse[]])[] = [
    [/without a header/, newResponse({ created: true })],
    [/an event of revision 4 after 5/, response({ events: [event(4)] })],
    [/an event of revision 6 after 7/, response({ events: [event(7), event(6)] })],
    [/an event of revision 7 after 8/, response({ events: [event(7)] }), response({ events: [event(7)] })],
    [
      /an event of revision 6 after 7/,
      response({ fragment: true, events: [event(7)] }),
      response({ events: [event(6)] }),
    ],
    [/an event without a key/, response({ events: [{ type: "PUT" }] })],
  ];
  for (const [text, ...responses] of refusals) {
    const events = new WatchEvents(5);
    throws(
      () => responses.forEach((one) => events.push(one)),
      (error) => error instanceof WireError && text.test(error.message),
    );
  }
});

test("progress on request: told by versions that do not let it overtake events", () => {
  const versions = {
    "3.4.23": false,
    "3.4.25": true,
    "3.5.7": false,
    "3.5.8": true,
    "3.6.0": true,
    "3.6.0-rc.1": true,
  };
  for (const [version, tells] of Object.entries({ ...versions, "3.3.27": false, "4.0.0": true, "": false })) {
    equal(tellsProgress(version), tells, version);
  }
});
