import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, TokenBook } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { AuthKeys } from "@millrace/client";
import { CAPABILITY, labelSet, parseLabelSelector, type Claims } from "@millrace/protocol";
import { Authoriser } from "./authoriser.ts";
import { PeerChannels } from "./peer-dial.ts";

const KEYS = AuthKeys.parse("c2VjcmV0IGtleSBvZiBicm9rZXJz,b3RoZXI=");
const HOUR_MS = 3_600_000;

function claimsOf(journal: string): Claims {
  const include = labelSet(["name", journal]);
  return {
    capabilities: CAPABILITY.REPLICATE,
    selector: { include, exclude: parseLabelSelector("").exclude },
  };
}

function open(options: { readonly keys?: AuthKeys; readonly token?: string } = {}): {
  readonly clock: SimulatedClock;
  readonly agenda: Agenda;
  readonly dial: PeerChannels;
} {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  return { agenda, clock, dial: new PeerChannels({ clock, logger: silentLogger, ...options }) };
}

test("peer dial: keys -> signed for what the call needs, which the peer's authoriser grants, and nothing else", () => {
  const { dial, clock } = open({ keys: KEYS, token: "platform's own" });
  const sent = dial.metadata(claimsOf("a/b")).get("authorization");
  const peer = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, clock);
  const principal = peer.authorise(sent, "REPLICATE");
  assert.deepEqual(principal.visible?.include.labels, claimsOf("a/b").selector.include.labels);
  assert.throws(() => peer.authorise(sent, "APPEND"), /missing required APPEND capability/);
});

test("peer dial: same claims -> same headers until half of their life is over, and never expired ones", async () => {
  const { dial, clock, agenda } = open({ keys: KEYS });
  const peer = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, clock);
  const first = dial.metadata(claimsOf("a/b"));
  assert.equal(dial.metadata(claimsOf("a/b")), first);
  assert.notEqual(dial.metadata(claimsOf("a/c")), first);
  for (let hours = 0; hours < 5; hours += 0.25) {
    peer.authorise(dial.metadata(claimsOf("a/b")).get("authorization"), "REPLICATE");
    await agenda.advance(HOUR_MS / 4);
  }
  assert.notEqual(dial.metadata(claimsOf("a/b")), first);
});

test("peer dial: the wall clock was ahead and is put right -> signed anew, which the peer takes", () => {
  const { dial, clock, agenda } = open({ keys: KEYS });
  clock.epochMs += HOUR_MS / 3;
  dial.metadata(claimsOf("a/b"));
  clock.epochMs -= HOUR_MS / 3;
  const peer = new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, new SimulatedClock(agenda));
  peer.authorise(dial.metadata(claimsOf("a/b")).get("authorization"), "REPLICATE");
});

test("peer dial: no keys -> the platform's token, or nothing", () => {
  const { dial } = open({ token: "0123456789abcdef" });
  assert.equal(dial.metadata(claimsOf("a")).get("authorization"), "Bearer 0123456789abcdef");
  assert.equal(open().dial.metadata(claimsOf("a")).size, 0);
});

test("peer dial: an endpoint has one channel, the least used ones end when there are too many", async () => {
  const { dial } = open();
  const kept = dial.channel("http://127.0.0.1:9");
  const left = dial.channel("http://127.0.0.1:10");
  for (let port = 1000; port < 1256; port++) {
    dial.channel(`http://127.0.0.1:${port}`);
    assert.equal(dial.channel("http://127.0.0.1:9"), kept);
  }
  assert.equal(left.state, "closed");
  await dial.close(AbortSignal.abort());
  assert.equal(kept.state, "closed");
});

test("peer dial: answers PINGs -> another connection, which is kept; nobody listens -> told once", async () => {
  const { dial } = open();
  const endpoint = "unix:///nowhere/at/all.sock";
  const told: unknown[] = [];
  const refused = new Promise<void>((done) =>
    dial.onRefused((...each) => {
      told.push(each);
      done();
    }),
  );
  const before = dial.channel(endpoint);
  dial.watchSilence(endpoint);
  const channel = dial.channel(endpoint);
  assert.notEqual(channel, before);
  dial.watchSilence(endpoint);
  assert.equal(dial.channel(endpoint), channel);
  const ended = (): Promise<string> =>
    new Promise((done) => {
      channel.start("/a.B/c", {}, { onMessage: () => undefined, onEnd: ({ code }) => done(code) });
    });
  assert.equal(await ended(), "UNAVAILABLE");
  await refused;
  assert.equal(await ended(), "UNAVAILABLE");
  assert.deepEqual(told, [[endpoint, true]]);
  await dial.close(AbortSignal.abort(new Error("enough")));
});
