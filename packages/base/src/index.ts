export { assert, describeFacts, InvariantError, unreachable, type Facts } from "./assert.ts";
export { CODES, WireError, type Code, type Retry } from "./errors.ts";
export { offset, type Brand, type Offset, type Revision } from "./offset.ts";
export {
  silentLogger,
  type Clock,
  type LogFields,
  type Logger,
  type LogLevel,
  type Random,
} from "./ports.ts";
export { compareBytes, concatBytes, equalBytes, hex, hex16, strictText, text, unhex, utf8 } from "./bytes.ts";
export { TaskGroup } from "./task-group.ts";
export { PassedTime, type ClockReadings } from "./passed-time.ts";
export { Gate, waitUntil } from "./gate.ts";
export { Slots } from "./slots.ts";
export { abortScope, never, type AbortScope } from "./abort.ts";
export {
  MetricsRegistry,
  SECONDS_BUCKETS,
  type Counter,
  type Gauge,
  type Histogram,
  type HistogramSnapshot,
  type Labels,
  type Metrics,
} from "./metrics.ts";
export { jsonLogger, systemClock, systemRandom } from "./system-ports.ts";
export { hostPolicy, LOOPBACK_HOSTS, refuseHost, type HostPolicy } from "./host-guard.ts";
export { parseAuthKeys, type AuthKeyList } from "./auth-key-list.ts";
export { bearerToken, bearsToken, equalSecret } from "./bearer-token.ts";
export {
  newToken,
  TokenBook,
  type KnownToken,
  type NewToken,
  type TokenOwner,
  type TokenRole,
} from "./system-token-book.ts";
export { RequestIds } from "./request-ids.ts";
export {
  formatAddress,
  formatNetwork,
  isInNetwork,
  parseAddress,
  parseNetwork,
  type IpAddress,
  type IpNetwork,
} from "./ip-address.ts";
export { sizeText } from "./size-text.ts";
export { BodyBytes } from "./body-bytes.ts";
export { headsEnd, takeTurns } from "./system-request-turns.ts";
export { isWord } from "./http1-grammar.ts";
export { headerLines, headerValue, headerValues, latin1, type RequestHead } from "./http1-head.ts";
export { HeadParser, type Refusal } from "./http1-head-parser.ts";
export { Http1Parser, type BodyPlan, type Http1Listener } from "./http1-parser.ts";
