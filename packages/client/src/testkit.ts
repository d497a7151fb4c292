export { FakeTransport, type AppendFault } from "./fake-transport.ts";
