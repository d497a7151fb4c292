// The log as lines for a person, in the form that Gazette's brokers have (logrus): what parses theirs parses ours.
//
//   time="2026-11-21T16:10:20.631Z" level=warn msg=etcd-not-reached retryMs=1000

export type LogFormat = "json" | "text" | "color";

/** Of logrus: red, yellow, blue, grey. */
const COLOURS: Readonly<Record<string, number>> = { error: 31, warn: 33, info: 36, debug: 37 };

/** @param line of JSON, with its newline @returns it in `format` */
export function formattedLine(line: string, format: LogFormat): string {
  if (format === "json") return line;
  const { time, level, event, ...fields } = JSON.parse(line) as Readonly<Record<string, unknown>>;
  const facts = Object.entries(fields).map(([name, value]) => ` ${name}=${quoted(plain(value))}`);
  if (format === "text") {
    return `time=${quoted(String(time))} level=${String(level)} msg=${quoted(String(event))}${facts.join("")}\n`;
  }
  const mark = `\u001b[${COLOURS[String(level)] ?? 37}m${String(level).toUpperCase().slice(0, 4)}\u001b[0m`;
  return `${mark}[${String(time)}] ${String(event)}${facts.join("")}\n`;
}

/** Errors by their message: a stack has lines. */
function plain(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "object" && value !== null && "message" in value) return String(value.message);
  return JSON.stringify(value);
}

/** As logrus: only what has something in it that is not a letter, a digit or one of a few signs. */
function quoted(text: string): string {
  return /^[A-Za-z0-9._/@^+-]+$/.test(text) ? text : JSON.stringify(text);
}
