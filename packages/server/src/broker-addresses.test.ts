import assert from "node:assert/strict";
import { test } from "node:test";
import { brokerAddresses } from "./broker-addresses.ts";

const broker = (zone: string, endpoint: string, isLeaving = false) => ({ zone, endpoint, isLeaving });

test("broker addresses: the own zone first, who leaves last, each process beginning elsewhere", () => {
  const brokers = [
    broker("b", "b1"),
    broker("a", "a2"),
    broker("a", "a1"),
    broker("a", "a3", true),
    broker("b", "b1"),
  ];
  assert.deepEqual(brokerAddresses(brokers, { zone: "a", turn: 0 }), ["a1", "a2", "b1", "a3"]);
  assert.deepEqual(brokerAddresses(brokers, { zone: "a", turn: 3 }), ["a2", "a1", "b1", "a3"]);
  assert.deepEqual(brokerAddresses(brokers, { zone: "c", turn: 1 }), ["a2", "b1", "a1", "a3"]);
  assert.deepEqual(brokerAddresses([], { zone: "a", turn: 5 }), []);
});
