export { Authoriser, type Credentials, type Need, type Principal } from "./authoriser.ts";
export { DEFAULT_ROOT, openBroker, type Broker, type BrokerOptions, type BrokerPorts } from "./broker.ts";
export { type AutoCreateRule } from "./auto-create.ts";
export { httpGateway, type GatewayOptions, type RequestHandler } from "./http-gateway.ts";
