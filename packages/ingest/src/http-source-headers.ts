// Headers of a request as a mapping may ask for them.
import { headerLines, type RequestHead } from "@millrace/base";

/**
 * JSON object of all headers: canonical names (`Content-Type`), sorted, the first value of each name
 * (keboola-stream specification 3.1).
 */
export function headersJson(head: RequestHead): string {
  const first = new Map<string, string>();
  for (const [name, value] of headerLines(head)) {
    const canonical = canonicalName(name);
    if (!first.has(canonical)) first.set(canonical, value);
  }
  const members = [...first].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
