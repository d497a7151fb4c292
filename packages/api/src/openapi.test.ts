import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";

import { parse } from "yaml";

import { ApiHarness, at, type Json } from "./api-testkit.ts";
import { documentText, openapiDocument } from "./openapi.ts";
import { OPERATIONS } from "./operations.ts";
import { yamlOf } from "./openapi-yaml.ts";

const COMMITTED = new URL("../../../docs/openapi.json", import.meta.url);

describe("OpenAPI document", () => {
  test("docs/openapi.json is what the code makes", () => {
    const renew = "the API has changed; if that is right: node packages/api/dist/openapi-golden-main.js";
    assert.equal(readFileSync(COMMITTED, "utf8"), documentText(), renew);
  });

  test("names of operations are unique, and every reference leads somewhere", () => {
    const ids = OPERATIONS.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    const places = OPERATIONS.map(({ method, path }) => `${method} ${path}`);
    assert.equal(new Set(places).size, places.length);
    const document = openapiDocument("http://api.test") as Json;
    const components = Object.keys(at(document, "components", "schemas") as Json);
    const references = documentText().matchAll(/"#\/components\/schemas\/(\w+)"/g);
    for (const [, name = ""] of references) assert.ok(components.includes(name), name);
  });

  test("every parameter of a path is declared", () => {
    const paths = at(openapiDocument("http://api.test"), "paths") as Json;
    for (const [path, methods] of Object.entries(paths)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(methods as Json)) {
        const declared = ((operation as Json)["parameters"] ?? []) as Json[];
        const inPath = declared.filter((one) => one["in"] === "path").map((one) => one["name"]);
        assert.deepEqual(inPath, names, path);
      }
    }
  });

  test("as YAML: says the same", () => {
    const document = openapiDocument("http://api.test");
    assert.deepEqual(parse(yamlOf(document)), JSON.parse(JSON.stringify(document)));
  });
});

describe("OpenAPI routes", () => {
  let api: ApiHarness;
  beforeEach(async () => {
    api = new ApiHarness();
    await api.open();
  });
  afterEach(() => api.close());

  test("the specification's paths -> the document, or where it is", async () => {
    const ask = (path: string) => api.app.inject({ method: "GET", url: `/v1/documentation${path}` });
    const json = await ask("/openapi3.json");
    assert.deepEqual([json.statusCode, at(json.json<Json>(), "openapi")], [200, "3.1.0"]);
    assert.deepEqual(at(json.json<Json>(), "servers"), [{ url: "http://api.test" }]);
    const yaml = await ask("/openapi3.yaml");
    assert.deepEqual(parse(yaml.body), json.json<Json>());
    for (const ending of ["json", "yaml"]) {
      const moved = await ask(`/openapi.${ending}`);
      assert.equal(moved.headers.location, `/v1/documentation/openapi3.${ending}`);
    }
    for (const path of ["", "/"]) {
      const page = await ask(path);
      assert.match(String(page.headers["content-type"]), /^text\/html/);
      assert.match(page.body, /branches\/\{branchId\}\/sources/);
      assert.doesNotMatch(page.body, /<script|https?:/);
    }
  });
});
