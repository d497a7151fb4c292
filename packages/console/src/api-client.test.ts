import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiClient, ApiError } from "./api-client.ts";

interface Seen {
  url: string;
  authorization: string | null;
  unauthorised: number;
}

function client(answer: () => Response | Promise<Response>, token = ""): [ApiClient, Seen] {
  const seen: Seen = { url: "", authorization: null, unauthorised: 0 };
  const api = new ApiClient({
    fetch: async (url, init) => {
      seen.url = typeof url === "string" ? url : "";
      seen.authorization = new Headers(init?.headers).get("authorization");
      return await answer();
    },
    token: () => token,
    onUnauthorised: () => void (seen.unauthorised += 1),
  });
  return [api, seen];
}

const signal = new AbortController().signal;

async function refusal(answer: () => Response | Promise<Response>): Promise<[ApiError, Seen]> {
  const [api, seen] = client(answer);
  const thrown: unknown = await api.postJson("api/sql", {}, signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof ApiError, String(thrown));
  return [thrown, seen];
}

test("api client: an answer -> its JSON; the token only when there is one", async () => {
  const [api, seen] = client(() => Response.json({ n: 1 }), "secret");
  assert.deepEqual(await api.getJson("../v1/x", signal), { n: 1 });
  assert.deepEqual([seen.url, seen.authorization], ["../v1/x", "Bearer secret"]);
  const [open, seenOpen] = client(() => Response.json({}));
  await open.getJson("x", signal);
  assert.equal(seenOpen.authorization, null);
});

test("api client: an error of the platform -> message, code, position", async () => {
  const body = { error: "INVALID_ARGUMENT", message: "no such column", position: 8 };
  const [error] = await refusal(() => Response.json(body, { status: 400 }));
  assert.deepEqual(
    [error.message, error.code, error.status, error.position],
    ["no such column", "INVALID_ARGUMENT", 400, 8],
  );
});

test("api client: an error that is a proxy's page -> the status at least", async () => {
  const [error] = await refusal(() => new Response("<html>", { status: 502 }));
  assert.deepEqual([error.message, error.code], ["the server answered 502", "HTTP_502"]);
});

test("api client: 400 of the configuration API without a token -> tells the page, other 400s do not", async () => {
  for (const [message, times] of [
    ['"X-StorageApi-Token" is missing from header.', 1],
    ['"name" is missing from body.', 0],
  ] as const) {
    const body = { error: "stream.api.missingField", message };
    const [api, seen] = client(() => Response.json(body, { status: 400 }));
    await assert.rejects(api.getJson("../v1/x", signal));
    assert.equal(seen.unauthorised, times, message);
  }
});

test("api client: 401 -> tells the page, too", async () => {
  const [error, seen] = await refusal(() =>
    Response.json({ message: "a token is required" }, { status: 401 }),
  );
  assert.deepEqual([error.status, seen.unauthorised], [401, 1]);
});

test("api client: no server -> an error that says so, the reason as its cause", async () => {
  const cause = new TypeError("fetch failed");
  const [error] = await refusal(() => Promise.reject(cause));
  assert.deepEqual([error.message, error.status, error.cause], ["the server does not answer", 0, cause]);
});

test("api client: an answer that is cut off -> not taken for empty", async () => {
  const [error] = await refusal(() => new Response('{"rows":['));
  assert.equal(error.code, "BAD_ANSWER");
});
