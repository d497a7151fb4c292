export { FakeSpools } from "./fake-spools.ts";
export {
  applySpec,
  journalSpec,
  openTestBroker,
  preamble,
  readAll,
  readRequest,
  type TestBroker,
} from "./broker-testkit.ts";
export { openTestGateway, type TestGateway } from "./http-testkit.ts";
export { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
export { TestNetwork, type ServedBroker } from "./network-testkit.ts";
export { JournalModel } from "./journal-model.ts";
export { Life } from "./mortal-ports.ts";
