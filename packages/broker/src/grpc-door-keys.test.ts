// Signed tokens at the gRPC door: what each call needs, and what a token does not show.
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock, utf8 } from "@millrace/base";
import { AuthKeys, FRAMES_METADATA } from "@millrace/client";
import {
  ANY_LABELS,
  CAPABILITY,
  JOURNAL_SERVICE,
  newFragmentsRequest,
  parseLabelSelector,
} from "@millrace/protocol";
import { journalSpec, readRequest } from "./broker-testkit.ts";
import type { FakeCall } from "./fake-call.ts";
import { answerOf, encoded, failure, J, withDoor, type DoorFixture } from "./grpc-door-testkit.ts";

const { append, apply, fragmentStoreHealth, list, listFragments, read } = JOURNAL_SERVICE;
const KEYS = AuthKeys.parse("c2VjcmV0");

function bearing(capabilities: number, selector = ANY_LABELS): string {
  return KEYS.sign({ capabilities, selector }, 60_000, systemClock.wallMs());
}

/** A call of each method about one journal, with the capability that it needs. */
const CALLS: Readonly<
  Record<string, { needs: number; begin: (door: DoorFixture, token: string) => FakeCall }>
> = {
  LIST: {
    needs: CAPABILITY.LIST,
    begin: (door, token) =>
      door.begin(list.path, token).receive(list.encodeRequest({ selector: ANY_LABELS, watch: false })),
  },
  APPLY: {
    needs: CAPABILITY.APPLY,
    begin: (door, token) => {
      const changes = [{ expectModRevision: 0, upsert: journalSpec("d/journal"), delete: "" }];
      return door.begin(apply.path, token).receive(apply.encodeRequest({ changes }));
    },
  },
  READ: {
    needs: CAPABILITY.READ,
    begin: (door, token) => door.begin(read.path, token).receive(read.encodeRequest(readRequest(J))),
  },
  APPEND: {
    needs: CAPABILITY.APPEND,
    begin: (door, token) =>
      door
        .begin(append.path, token)
        .receive(
          encoded({ journal: J }),
          encoded({ content: utf8("x") }),
          encoded({ content: new Uint8Array(0) }),
        ),
  },
};

for (const [name, { needs, begin }] of Object.entries(CALLS)) {
  test(`grpc with keys: ${name} without its capability -> UNAUTHENTICATED; with it alone -> served`, async () => {
    await withDoor(
      async (door) => {
        const others = Object.values(CAPABILITY).reduce((all, one) => all | one, 0) & ~needs;
        const refused = await begin(door, bearing(others)).halfClose().end();
        const text = new RegExp(`authorization is missing required ${name} capability`);
        assert.equal(refused.code, "UNAUTHENTICATED");
        assert.match(refused.message, text);
        assert.equal((await begin(door, bearing(needs)).halfClose().end()).code, "OK");
      },
      { keys: KEYS },
    );
  });
}

test("grpc with keys: a token for other journals -> this one is not found, as if it were not there", async () => {
  await withDoor(
    async (door) => {
      const token = bearing(0xffff_ffff, parseLabelSelector("prefix=other/"));
      const statusesOf = async (journal: string): Promise<readonly string[]> => {
        const appended = door
          .begin(append.path, token)
          .receive(
            encoded({ journal }),
            encoded({ content: utf8("x") }),
            encoded({ content: new Uint8Array(0) }),
          );
        const reading = door.begin(read.path, token).receive(read.encodeRequest(readRequest(journal)));
        const listing = door
          .begin(listFragments.path, token)
          .receive(listFragments.encodeRequest(newFragmentsRequest({ journal })));
        const calls = [appended, reading, listing].map((call) => call.halfClose());
        for (const call of calls) assert.equal((await call.end()).code, "OK");
        return [
          append.decodeResponse(appended.sent[0]!).status,
          read.decodeResponse(reading.sent[0]!).status,
          listFragments.decodeResponse(listing.sent[0]!).status,
        ];
      };
      assert.deepEqual(
        await statusesOf(J),
        Array.from({ length: 3 }, () => "JOURNAL_NOT_FOUND"),
      );
      assert.deepEqual(await statusesOf(J), await statusesOf("not/there"));
    },
    { keys: KEYS },
  );
});

test("grpc with keys: journals that only their owner writes -> another's token does not learn of them", async () => {
  await withDoor(
    async (door) => {
      const append = (journal: string, selector: string, metadata?: ReadonlyMap<string, string>): FakeCall =>
        door
          .begin(
            JOURNAL_SERVICE.append.path,
            bearing(CAPABILITY.APPEND, parseLabelSelector(selector)),
            metadata,
          )
          .receive(
            encoded({ journal }),
            encoded({ content: utf8("x") }),
            encoded({ content: new Uint8Array(0) }),
          )
          .halfClose();
      for (const metadata of [undefined, new Map([[FRAMES_METADATA, "1"]])])
        for (const journal of [J, "not/there"])
          assert.equal(
            (await answerOf(append(journal, "prefix=other/", metadata))).status,
            "JOURNAL_NOT_FOUND",
          );
      const told = await append(J, `name=${J}`).end();
      assert.deepEqual(told, failure(`no: ${J}`, "PERMISSION_DENIED"));
    },
    {
      keys: KEYS,
      refuseAppend: (journal, principal, broker) =>
        broker.specOf(journal, principal) === undefined ? undefined : `no: ${journal}`,
    },
  );
});

test("grpc: apply, fragments, store health -> answered; a change that is not theirs -> UNAUTHENTICATED", async () => {
  await withDoor(
    async (door) => {
      const all = KEYS.sign(
        { capabilities: 0xffff_ffff, selector: ANY_LABELS },
        60_000,
        systemClock.wallMs(),
      );
      const selector = parseLabelSelector("prefix=c/");
      const some = KEYS.sign({ capabilities: 0xffff_ffff, selector }, 60_000, systemClock.wallMs());
      const changes = [{ expectModRevision: 0, upsert: journalSpec("d/journal"), delete: "" }];
      const change = (token: string) =>
        door.begin(apply.path, token).receive(apply.encodeRequest({ changes })).halfClose();
      assert.deepEqual(await change(some).end(), failure("not authorized to d/journal", "UNAUTHENTICATED"));
      const applied = change(all);
      await applied.end();
      assert.equal(apply.decodeResponse(applied.sent[0]!).status, "OK");
      const asked = { journal: "d/journal", beginModTime: 0, endModTime: 0, nextPageToken: 0, pageLimit: 0 };
      const fragments = door
        .begin(listFragments.path, all)
        .receive(listFragments.encodeRequest({ ...asked, doNotProxy: false }))
        .halfClose();
      await fragments.end();
      assert.equal(listFragments.decodeResponse(fragments.sent[0]!).status, "OK");
      const probe = { fragmentStore: "file:///", checkDelete: false, checkDeletePrefix: "" };
      const health = door
        .begin(fragmentStoreHealth.path, all)
        .receive(fragmentStoreHealth.encodeRequest(probe))
        .halfClose();
      await health.end();
      assert.equal(fragmentStoreHealth.decodeResponse(health.sent[0]!).status, "OK");
    },
    { keys: KEYS },
  );
});

test("grpc with keys: no token -> every method refused before anything is read", async () => {
  await withDoor(
    async (door) => {
      for (const { path } of Object.values(JOURNAL_SERVICE)) {
        const call = door.begin(path);
        assert.deepEqual(
          call.ended,
          failure("missing or empty Authorization token", "UNAUTHENTICATED"),
          path,
        );
      }
    },
    { keys: KEYS },
  );
});
