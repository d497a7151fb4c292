export type { AppendContent, JournalTransport } from "./transport.ts";
