// The client of the configuration API is what its document makes it: nobody has edited it, nobody has forgotten it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CLIENT, clientFiles, readDocument } from "./api-client.ts";

test("client of the configuration API: generated anew -> the committed files", async () => {
  for (const [name, text] of Object.entries(await clientFiles(readDocument()))) {
    const committed = readFileSync(new URL(name, CLIENT), "utf8");
    assert.equal(committed, text, `${name} has changed; npx tsx scripts/api-client.ts writes it`);
  }
});

test("client of the configuration API: a schema of another form -> refused, not guessed", async () => {
  const document = { ...readDocument(), components: { schemas: { Odd: { type: "tuple" } } } };
  await assert.rejects(clientFiles(document), /a form that is not known: \{"type":"tuple"\}/);
});
