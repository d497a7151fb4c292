// Kinds of settings: how a text becomes a value, which values are in range, and how a value is shown.
import { formatNetwork, parseAuthKeys, parseNetwork, WireError, type IpNetwork } from "@millrace/base";

export interface ListenAddress {
  /** As given: `127.0.0.1`, `localhost`, `[::1]`, `0.0.0.0`. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Of a unix socket, in the place of both. */
  readonly path?: string;
}

export interface Kind<T> {
  readonly name: string;
  /** @throws {WireError} INVALID_ARGUMENT with value and bound */
  parse(text: string): T;
  format(value: T): string;
  /** Given several times they all count. */
  readonly isList?: true;
  /** What `parse` throws shows nothing of the text, which may be a secret. */
  readonly hidesText?: true;
}

function invalid(text: string, expected: string): WireError {
  return new WireError("INVALID_ARGUMENT", `"${text}" is not ${expected}`);
}

export const textKind: Kind<string> = { name: "text", parse: (text) => text, format: (value) => value };

const BROKER_ID_LENGTH = { min: 4, max: 128 } as const;

/** Name of a broker, or nothing. */
export const brokerIdKind: Kind<string> = {
  ...textKind,
  parse: (text) => {
    const { min, max } = BROKER_ID_LENGTH;
    if (text === "" || (text.length >= min && text.length <= max)) return text;
    throw new WireError(
      "INVALID_ARGUMENT",
      `"${text}" has ${text.length} characters (expected ${min} to ${max})`,
    );
  },
};

/** Texts without commas or spaces. */
export const listKind: Kind<readonly string[]> = {
  name: "text",
  isList: true,
  parse: (text) => text.split(/[\s,]+/).filter((one) => one !== ""),
  format: (texts) => texts.join(","),
};

/** Addresses, and networks of them. */
export const networksKind: Kind<readonly IpNetwork[]> = {
  name: "CIDRs",
  isList: true,
  parse: (text) => listKind.parse(text).map(parseNetwork),
  format: (networks) => networks.map(formatNetwork).join(","),
};

/** Of each scheme what must be in it, then a prefix that ends in '/', then arguments. */
const STORE_URL =
  /^(?:file:\/\/\/|(?:s3|gs|azure):\/\/[^/?#]+\/|azure-ad:\/\/(?:[^/?#]+\/){3})(?:[^?#]*\/)?(?:\?[^#]*)?$/;

/** URL of a store. Its arguments are checked when it is opened; here no store is loaded for it. */
export const storeKind: Kind<string> = {
  name: "URL",
  parse: (text) => {
    if (STORE_URL.test(text)) return text;
    throw invalid(
      text,
      "the URL of a store that ends in '/', e.g. file:///fragments/ or s3://bucket/prefix/",
    );
  },
  format: (value) => value,
};

/** Keys of signed tokens, or nothing. */
export const authKeysKind: Kind<string> = {
  name: "keys",
  hidesText: true,
  parse: (text) => {
    const given = text.trim();
    if (given !== "") parseAuthKeys(given);
    return given;
  },
  format: (value) => value,
};

const ETCD_ADDRESS =
  /^(?:https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?\/?|unix:\/\/[^/,]*\/[^,]+)$/;

/** Endpoints of one etcd, or nothing. */
export const etcdAddressKind: Kind<readonly string[]> = {
  ...listKind,
  name: "URLs",
  parse: (text) => {
    const addresses = listKind.parse(text);
    for (const address of addresses) {
      if (!ETCD_ADDRESS.test(address))
        throw invalid(
          address,
          "http://HOST:PORT, https://HOST:PORT or unix:///PATH, with commas between several",
        );
    }
    return addresses;
  },
};

/** Root of keys: behind it `#` parts them. A clean path, checked before a data directory is bound to it. */
export const etcdPrefixKind: Kind<string> = {
  ...textKind,
  parse: (text) => {
    if (!/^[^\s#\p{Cc}]+$/u.test(text))
      throw invalid(text, "a root of keys, e.g. /gazette/cluster: without '#' and white space");
    const names = text.slice(text.startsWith("/") ? 1 : 0).split("/");
    if (text !== "/" && names.some((name) => name === "" || name === "." || name === ".."))
      throw invalid(
        text,
        "a clean path, e.g. /gazette/cluster: without '//', '.', '..' and a '/' at its end",
      );
    return text;
  },
};

/** Also as Go's programs take them. */
export const booleanKind: Kind<boolean> = {
  name: "true|false",
  parse: (text) => {
    if (/^(?:|1|t|T|true|True|TRUE)$/.test(text)) return true;
    if (/^(?:0|f|F|false|False|FALSE)$/.test(text)) return false;
    throw invalid(text, "true or false");
  },
  format: String,
};

export function choiceKind<const C extends string>(choices: readonly C[]): Kind<C> {
  return {
    name: choices.join("|"),
    parse: (text) => {
      const found = choices.find((choice) => choice === text);
      if (found === undefined) throw invalid(text, `one of ${choices.join(", ")}`);
      return found;
    },
    format: (value) => value,
  };
}

const LOG_LEVELS = choiceKind(["debug", "info", "warn", "error"]);
/** Names that other programs have for the nearest of ours. */
const OTHER_LEVELS: ReadonlyMap<string, string> = new Map([
  ["trace", "debug"],
  ["fatal", "error"],
]);

/** Levels, also by Gazette's names. */
export const logLevelKind: typeof LOG_LEVELS = {
  ...LOG_LEVELS,
  parse: (text) => LOG_LEVELS.parse(OTHER_LEVELS.get(text) ?? text),
};

export function integerKind(min: number, max: number): Kind<number> {
  return {
    name: `${min}..${max}`,
    parse: (text) => {
      const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
      if (!Number.isSafeInteger(value)) throw invalid(text, "an integer");
      return inRange(value, text, min, max, String);
    },
    format: String,
  };
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** Sizes: `512`, `5MB` (10^6), `64MiB` (2^20). */
export function bytesKind(min: number, max: number): Kind<number> {
  return {
    name: `${formatBytes(min)}..${formatBytes(max)}`,
    parse: (text) => {
      const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text);
      const unit = BYTE_UNITS[(match?.[2] ?? "?").toUpperCase()];
      if (match === null || unit === undefined) throw invalid(text, "a size such as 64MiB or 5MB");
      return inRange(Math.round(Number(match[1]) * unit), text, min, max, formatBytes);
    },
    format: formatBytes,
  };
}

export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}

const TIME_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "\u00b5s": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** Terms of a duration; not those of `protocol`, which no command's help shall wait for. */
const TERMS = /(\d{1,15}(?:\.\d{1,15})?)(ns|us|\u00b5s|ms|s|m|h|d)/g;

/** Durations in whole milliseconds: `200ms`, `1.5s`, `24h`, `7d`, and what Go prints: `1h0m0s`. */
export function durationKind(minMs: number, maxMs: number): Kind<number> {
  return {
    name: `${formatDuration(minMs)}..${formatDuration(maxMs)}`,
    parse: (text) => inRange(millisecondsOf(text), text, minMs, maxMs, formatDuration),
    format: formatDuration,
  };
}

function millisecondsOf(text: string): number {
  const terms = [...text.matchAll(TERMS)];
  const isWhole = terms.map(([term]) => term).join("") === text;
  if (text !== "0" && (!isWhole || text === "")) throw invalid(text, "a duration such as 200ms, 30s or 24h");
  return Math.round(terms.reduce((sum, [, count, unit]) => sum + Number(count) * TIME_UNITS[unit!]!, 0));
}

export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"] as const) {
    const size = TIME_UNITS[unit]!;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

export const addressKind: Kind<ListenAddress> = {
  name: "HOST:PORT",
  parse: (text) => {
    const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d+)$/.exec(text);
    const port = Number(match?.[2]);
    if (match === null || port > 65_535)
      throw invalid(text, "HOST:PORT with a port in 0..65535, e.g. 127.0.0.1:8080");
    return { host: match[1]!, port };
  },
  format: ({ host, port }) => `${host}:${port}`,
};

/** Where something is reached, or nothing. */
export const advertisedKind: Kind<ListenAddress | undefined> = {
  name: addressKind.name,
  parse: (text) => {
    if (text === "") return undefined;
    const address = addressKind.parse(text);
    if (address.port === 0) throw invalid(text, "HOST:PORT with a port in 1..65535");
    return address;
  },
  format: (address) => (address === undefined ? "" : addressKind.format(address)),
};

function inRange(
  value: number,
  text: string,
  min: number,
  max: number,
  show: (value: number) => string,
): number {
  if (value < min || value > max) {
    throw new WireError(
      "INVALID_ARGUMENT",
      `${text} is out of range (${show(min)} <= value <= ${show(max)})`,
    );
  }
  return value;
}
