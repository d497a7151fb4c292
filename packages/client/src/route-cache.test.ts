import assert from "node:assert/strict";
import { test } from "node:test";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { EMPTY_ROUTE, type Route } from "@millrace/protocol";
import { RouteCache } from "./route-cache.ts";

const member = (zone: string, suffix: string) => ({ zone, suffix });
const ROUTE: Route = {
  members: [member("a", "one"), member("b", "two")],
  primary: 0,
  endpoints: ["http://one", "http://two"],
};

test("route cache: known route -> the primary for appends, a member of the own zone for reads", () => {
  const cache = new RouteCache(new SimulatedClock(new Agenda()), "b");
  assert.equal(cache.primary("j"), undefined);
  cache.learn("j", ROUTE);
  assert.deepEqual([cache.primary("j"), cache.member("j")], ["http://one", "http://two"]);
  cache.learn("j", { ...ROUTE, endpoints: ["http://one", ""] });
  assert.equal(cache.member("j"), "http://one");
  cache.learn("j", { ...ROUTE, primary: -1 });
  assert.deepEqual([cache.primary("j"), cache.member("j")], [undefined, "http://two"]);
  cache.learn("j", EMPTY_ROUTE);
  assert.equal(cache.member("j"), undefined);
});

test("route cache: forgotten, grown old, or one of too many -> the address is asked", () => {
  const agenda = new Agenda();
  const cache = new RouteCache(new SimulatedClock(agenda), "b");
  cache.learn("j", ROUTE);
  cache.forget("j");
  assert.equal(cache.primary("j"), undefined);
  cache.learn("j", ROUTE);
  agenda.stall(60_000);
  assert.equal(cache.primary("j"), undefined);
  for (let i = 0; i < 5000; i++) cache.learn(`j/${i}`, ROUTE);
  assert.equal(cache.primary("j/0"), undefined);
  assert.equal(cache.primary("j/4999"), "http://one");
});
