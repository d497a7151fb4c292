// Uses an `azure-ad` store at the address that it is given, with tokens from a stub of the identity platform.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { never, systemClock, text, utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { request } from "undici";
import { openStores } from "./open-stores.ts";
import { AZURE_ACCOUNT } from "./system-store-servers.ts";

const TENANT = "ab1f708d-50f6-404c-a006-d71b2ac7a606";
const account = AZURE_ACCOUNT.name;
const endpoint = `${process.argv[2] ?? ""}/${account}`;

let tokens = 0;
const authority = createServer((asked, response) => {
  tokens++;
  assert.equal(asked.url, `/${TENANT}/oauth2/v2.0/token`);
  response.end(JSON.stringify({ token_type: "Bearer", expires_in: 3599, access_token: token() }));
});
await new Promise<void>((resolve) => authority.listen(0, "127.0.0.1", resolve));

const credential = new StorageSharedKeyCredential(account, AZURE_ACCOUNT.key);
await new BlobServiceClient(endpoint, credential).createContainer("fragments");
const env = {
  AZURE_CLIENT_ID: "the-application",
  AZURE_CLIENT_SECRET: "secret",
  AZURE_AUTHORITY_HOST: `http://127.0.0.1:${(authority.address() as AddressInfo).port}`,
  AZURE_STORAGE_SERVICE_ENDPOINT: endpoint,
};
const ports = { root: "/nowhere", clock: systemClock, random: seededRandom("azure-ad"), env };
const store = openStores(ports).open(`azure-ad://${TENANT}/${account}/fragments/deep/`);
await store.put("a/b", body(), {}, never);
let got = "";
for await (const chunk of store.get("a/b", {}, never)) got += text(chunk);
for await (const { path } of store.list("a/", never)) assert.equal(path, "a/b");
const url = await store.signGet("a/b", 60_000);
const { statusCode, body: answer } = await request(url);
const fetched = await answer.text();
process.stdout.write(`${tokens} token, ${got}, ${statusCode === 200 ? "fetched " : "refused "}${fetched}\n`);
authority.close();
authority.closeAllConnections();

/** A token as the platform makes them; Azurite looks at what it says, not at who signed it. */
function token(): string {
  const now = Math.floor(systemClock.wallMs() / 1000);
  const claims = {
    aud: "https://storage.azure.com",
    iss: `https://sts.windows.net/${TENANT}/`,
    iat: now,
    nbf: now - 60,
    exp: now + 3600,
    oid: "23657296-5cd5-45b0-a809-d972a7f4dfe1",
    tid: TENANT,
    ver: "1.0",
  };
  const parts = [{ typ: "JWT", alg: "RS256" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  return `${parts.join(".")}.${Buffer.from("signature").toString("base64url")}`;
}

async function* body(): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(utf8("content"));
}
