export { openBroker, type Broker, type BrokerOptions, type BrokerPorts } from "./broker.ts";
export { type AutoCreateRule } from "./auto-create.ts";
