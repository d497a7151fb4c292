import assert from "node:assert/strict";
import { test } from "node:test";
import { labelled, parseProblems, problemsAt, problemsWithin } from "./form-problems.ts";

const PROBLEMS = [
  { field: "body.name", message: "Too long." },
  { field: "body.columns[1].path", message: "No path." },
  { field: "body.columns[1]", message: "No column." },
  { field: "body.columns[10].name", message: "Twice." },
];

test("problems: of a field itself", () => {
  assert.deepEqual(problemsAt(PROBLEMS, "body.name"), ["Too long."]);
  assert.deepEqual(problemsAt(PROBLEMS, "body.columns"), []);
});

test("problems: of a column and its fields, not of another whose number begins the same", () => {
  assert.deepEqual(problemsWithin(PROBLEMS, "body.columns[1]"), [
    { field: "path", message: "No path." },
    { field: "", message: "No column." },
  ]);
  assert.deepEqual(
    problemsWithin(PROBLEMS, "body.columns").map(({ field }) => field),
    ["[1].path", "[1]", "[10].name"],
  );
});

test("problems: what a body has instead of a list of them is none", () => {
  for (const value of [undefined, null, "x", {}, [null, 1, { field: 1, message: "x" }, { field: "x" }]]) {
    assert.deepEqual(parseProblems(value), []);
  }
  assert.deepEqual(parseProblems([{ field: "a", message: "b", more: 1 }]), [{ field: "a", message: "b" }]);
});

test("problems: beside its label a field is called by it", () => {
  const long = "Length of body.name must be lesser or equal than 40.";
  assert.equal(labelled(long, "body.name", "Name"), "Length of Name must be lesser or equal than 40.");
  assert.equal(labelled("Body.a.port must be 1.", "body.a.port", "Port"), "Port must be 1.");
  assert.equal(labelled("Not unique.", "body.name", "Name"), "Not unique.");
});
