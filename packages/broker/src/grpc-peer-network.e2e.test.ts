// Brokers that replicate to each other over real sockets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock, text, utf8, WireError, type Clock } from "@millrace/base";
import { callUnary } from "@millrace/grpc";
import type { EmbeddedStore } from "@millrace/metadata";
import {
  CAPABILITY,
  HOLDER_SERVICE,
  JOURNAL_SERVICE,
  labelSet,
  newReplicateRequest,
  parseLabelSelector,
  type AppendResponse,
} from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readAll, readRequest, type TestBroker } from "./broker-testkit.ts";
import { openSocketMember, withSocketMembers, type SocketMember } from "./socket-testkit.ts";

const J = "a/journal";
const CLOCK: Clock = systemClock;

function withBrokers(run: (members: SocketMember[], store: EmbeddedStore) => Promise<void>): Promise<void> {
  return withSocketMembers(async (members, coordination) => {
    await applySpec(members[0]!.transport, journalSpec(J, { replication: 3 }));
    await run(members, coordination);
  });
}

function append({ transport }: TestBroker, content: string | Uint8Array): Promise<AppendResponse> {
  const bytes = typeof content === "string" ? utf8(content) : content;
  return transport.append(preamble(J), { kind: "bytes", bytes: [bytes] }, never);
}

/** Tries again while brokers find each other. */
async function appended(member: TestBroker, content: string | Uint8Array): Promise<AppendResponse> {
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await append(member, content);
      if (answer.status === "OK" || attempt === 100) return answer;
    } catch (error) {
      if (attempt === 100) throw error;
    }
    await CLOCK.sleep(50, never);
  }
}

const textAt = async ({ transport }: TestBroker): Promise<string> =>
  text(await readAll(transport, readRequest(J), never));

/** Replicas are told a moment later what is confirmed. */
async function settledText(member: TestBroker, length: number): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const content = await textAt(member);
    if (content.length >= length || attempt === 100) return content;
    await CLOCK.sleep(10, never);
  }
}

test("peers over gRPC: appends at any broker, small and large -> on all three", async () => {
  await withBrokers(async (members) => {
    const large = new Uint8Array(3_000_000).fill(0x78);
    assert.equal((await appended(members[0]!, "one ")).status, "OK");
    for (const member of members) assert.equal((await append(member, "two ")).status, "OK");
    const answer = await append(members[1]!, large);
    assert.deepEqual([answer.status, answer.commit?.end], ["OK", 16 + large.length]);
    await append(members[2]!, "end");
    for (const { spools } of members) assert.equal(spools.spools.get(J)!.syncedEnd, 19 + large.length);
    const expected = `one two two two ${text(large)}end`;
    for (const member of members) assert.ok((await settledText(member, expected.length)) === expected);
  });
});

test("peers over gRPC: a replica's door is gone and comes back -> refused, then appends go on", async () => {
  await withBrokers(async (members, coordination) => {
    const { header } = await appended(members[0]!, "one ");
    const { route } = header;
    const primary = members.find(({ name }) => name === route.members[route.primary]!.zone)!;
    const other = members.find((member) => member !== primary)!;
    const told: string[] = [];
    primary.network.onRefused(({ id }, isRefused) => told.push(`${id.zone} ${isRefused}`));
    await other.cut();
    // Its assignment may be taken before its lease ends: then too few brokers are left for three replicas.
    for (const content of ["two ", "three "]) {
      const status = await append(primary, content).then(
        (answer) => answer.status,
        (error: unknown) => WireError.from(error).code,
      );
      assert.notEqual(status, "OK");
    }
    assert.deepEqual(told, [`${other.name} true`]);
    await other.close();
    members.splice(members.indexOf(other), 1);
    members.push(await openSocketMember(coordination, other.name, { spools: other.spools.restarted() }));
    assert.equal((await appended(primary, "four")).status, "OK");
    const content = await textAt(primary);
    assert.match(content, /^one .*four$/);
    for (const { spools } of members) assert.equal(spools.spools.get(J)!.syncedEnd, content.length);
    for (const member of members) assert.equal(await settledText(member, content.length), content);
  });
});

test("peers over gRPC: hostile requests -> refused in words, and nothing happens", async () => {
  await withBrokers(async (members) => {
    await appended(members[0]!, "one");
    const [{ endpoint, dial }] = members as [SocketMember];
    const channel = dial.channel(endpoint);
    const selector = { include: labelSet(["name", J]), exclude: parseLabelSelector("").exclude };
    const metadata = dial.metadata({ capabilities: CAPABILITY.REPLICATE, selector });
    const { hold, fetch, digest } = HOLDER_SERVICE;
    const held = { journal: J, createRevision: 1, begin: 0, end: 3 };
    const call = (path: string, bytes: Uint8Array, headers = metadata): Promise<unknown> =>
      callUnary(channel, path, bytes, { metadata: headers }, never);
    await assert.rejects(call(digest.path, digest.encodeRequest(held)), /nothing is here of journal/);
    await assert.rejects(
      call(fetch.path, fetch.encodeRequest({ ...held, begin: 4 })),
      /invalid range \(\[4, 3\)/,
    );
    const weak = dial.metadata({ capabilities: CAPABILITY.READ, selector });
    await assert.rejects(
      call(digest.path, digest.encodeRequest(held), weak),
      /missing required REPLICATE capability/,
    );
    const others = { include: labelSet(["name", "b/other"]), exclude: selector.exclude };
    const blind = dial.metadata({ capabilities: CAPABILITY.REPLICATE, selector: others });
    await assert.rejects(call(digest.path, digest.encodeRequest(held), blind), /nothing is here of journal/);
    await assert.rejects(call(hold.path, new Uint8Array([0xff, 0xff])), /failed to unmarshal/);
    await assert.rejects(call(hold.path, new Uint8Array(0)), /invalid length/);
    const { replicate } = JOURNAL_SERVICE;
    const headless = replicate.encodeRequest(newReplicateRequest({ content: utf8("x") }));
    await assert.rejects(call(replicate.path, headless), /expected first ReplicateRequest to have Header/);
    await assert.rejects(call(replicate.path, new Uint8Array([0x0a, 0x7f])), /header: truncated/);
    assert.equal(await textAt(members[0]!), "one");
  });
});
