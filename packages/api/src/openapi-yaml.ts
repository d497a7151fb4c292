// The document as YAML: JSON values in block style, every text quoted as JSON quotes it, which YAML 1.2 reads alike.

export function yamlOf(value: object): string {
  return `${block(value, "")}\n`;
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    return value.map((item: unknown) => `${indent}-${behind(item, `${indent}  `)}`).join("\n");
  }
  return Object.entries(value as Record<string, unknown>)
    .map(([name, member]) => `${indent}${JSON.stringify(name)}:${behind(member, `${indent}  `)}`)
    .join("\n");
}

/** What stands behind a colon or a dash. */
function behind(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return ` ${JSON.stringify(value)}`;
  if (Array.isArray(value) && value.length === 0) return " []";
  return Object.keys(value).length === 0 ? " {}" : `\n${block(value, indent)}`;
}
