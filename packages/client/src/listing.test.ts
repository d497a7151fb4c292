import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import {
  deleteChange,
  newFragment,
  newJournalSpec,
  type ApplyChange,
  type FragmentsResponse,
  type ListedJournal,
  type ListResponse,
} from "@millrace/protocol";
import { FakeTransport } from "./fake-transport.ts";
import { applyJournals, getJournal, listAllFragments, listFragments, listJournals } from "./listing.ts";

const JOURNAL = "a/journal";
const SELECTOR = { include: { labels: [] }, exclude: { labels: [] } };

/** Answers as the test says, and keeps what it was asked. */
class Scripted extends FakeTransport {
  listed: readonly ListedJournal[] = [];
  status: ListResponse["status"] = "OK";
  pages: readonly (readonly number[])[] = [];
  readonly sizes: number[] = [];

  override async list(): Promise<ListResponse> {
    return { ...(await super.list()), status: this.status, journals: this.listed };
  }

  override apply(request?: { readonly changes: readonly ApplyChange[] }) {
    this.sizes.push(request!.changes.length);
    return super.apply();
  }

  override async listFragments(
    request: Parameters<FakeTransport["listFragments"]>[0],
  ): Promise<FragmentsResponse> {
    const answer = await super.listFragments(request);
    const page = request.nextPageToken;
    const fragments = this.pages[page]!.map((begin) => ({
      spec: newFragment({ journal: JOURNAL, begin, end: begin + 1, compressionCodec: "NONE" }),
      signedUrl: "",
    }));
    return { ...answer, fragments, nextPageToken: page + 1 < this.pages.length ? page + 1 : 0 };
  }
}

function listedJournal(name: string): ListedJournal {
  const route = { members: [], primary: -1, endpoints: [] };
  return { spec: newJournalSpec({ name }), modRevision: 1, createRevision: 1, route };
}

test("get journal: there -> it; not there, or another one listed -> JOURNAL_NOT_FOUND with its name", async () => {
  const transport = new Scripted();
  transport.listed = [listedJournal(JOURNAL)];
  assert.equal((await getJournal(transport, JOURNAL, never)).spec.name, JOURNAL);
  const missing = { code: "JOURNAL_NOT_FOUND", message: "named journal does not exist (a/other)" };
  await assert.rejects(getJournal(transport, "a/other", never), missing);
});

test("list: a status other than OK -> its code, and what was asked for", async () => {
  const transport = new Scripted();
  transport.status = "NOT_ALLOWED";
  const refused = { code: "NOT_ALLOWED", message: "list of journals: NOT_ALLOWED" };
  await assert.rejects(listJournals(transport, SELECTOR, never), refused);
});

test("apply: many changes -> in transactions of at most so many, none for none", async () => {
  const changes = Array.from({ length: 130 }, (_, i) => deleteChange(`a/journal-${i}`, 1));
  for (const [size, sizes] of [
    [undefined, [64, 64, 2]],
    [130, [130]],
    [100, [100, 30]],
  ] as const) {
    const transport = new Scripted();
    await applyJournals(transport, changes, never, size);
    assert.deepEqual(transport.sizes, sizes);
  }
  const transport = new Scripted();
  await applyJournals(transport, [], never);
  assert.deepEqual(transport.sizes, []);
});

test("fragments: several pages, one of them empty -> all of them, in one answer or one after the other", async () => {
  const transport = new Scripted();
  transport.pages = [[0, 1], [], [2]];
  const all = await listAllFragments(transport, { journal: JOURNAL }, never);
  assert.deepEqual(
    all.fragments.map(({ spec }) => spec.begin),
    [0, 1, 2],
  );
  assert.equal(all.nextPageToken, 0);
  const begins: number[] = [];
  for await (const { spec } of listFragments(transport, { journal: JOURNAL }, never)) begins.push(spec.begin);
  assert.deepEqual(begins, [0, 1, 2]);
});
