// A page for people that lists the operations: no script, nothing from elsewhere.
import { OPERATIONS } from "./operations.ts";

export function documentPage(): string {
  const rows = OPERATIONS.map(({ method, path, summary, access, status }) => {
    const cells = [method, `/v1${path.replace("*}", "}")}`, String(status), access, summary];
    return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join("")}</tr>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Millrace streams: the API</title>
<style>
body { font: 14px system-ui; margin: 2em }
td, th { padding: .2em 1em .2em 0; text-align: left }
td:nth-child(2) { font-family: monospace }
</style>
<h1>Millrace streams: the API</h1>
<p>As OpenAPI 3.1: <a href="/v1/documentation/openapi3.json">JSON</a>,
<a href="/v1/documentation/openapi3.yaml">YAML</a>.</p>
<table>
<tr><th>Method<th>Path<th>Status<th>Needs<th>What it does</tr>
${rows.join("\n")}
</table>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
