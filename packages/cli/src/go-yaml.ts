// YAML as the library of gazctl writes it (gopkg.in/yaml.v2): files under version control do not change with the tool
// that wrote them.
//
// Y1 Lists stand not further to the right than what they belong to.
// Y2 Text that YAML 1.1 takes for something else (`y`, `0b1`, `1:30`) is in "double" quotes, text whose signs YAML
//    means otherwise in 'single' ones.
// Y3 Text is folded at the first lone space behind column 80, two to the right of its name.
const STYLE = { indentSeq: false, lineWidth: 0, compat: "yaml-1.1" } as const;
const WIDTH = 80;
/** As a scalar of one line begins or ends that cannot stand without quotes; and what may not be within. */
const NOT_PLAIN = /^[ ,[\]{}#&*!|>'"%@`]|^[?-]$|^[?:-] |^---|^\.\.\.|: | #|[ :]$/;
/** Only double quotes have escapes for these. */
const NEEDS_ESCAPES = /[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufefe\uff00-\uffff]/;
/** A name, or a dash, with the text behind it. */
const SCALAR_LINE = /^((?: *(?:- )*)(?:[A-Za-z0-9_]+: |(?<=- )))(.*)$/;

export async function goYaml(value: unknown): Promise<string> {
  const { Document, Scalar, visit } = await import("yaml");
  const document = new Document(value, STYLE);
  visit(document, {
    Scalar(_, scalar) {
      const { value: text } = scalar;
      if (typeof text !== "string" || NEEDS_ESCAPES.test(text)) return;
      if (NOT_PLAIN.test(text)) scalar.type = Scalar.QUOTE_SINGLE; // Y2
    },
  });
  const yaml = document.toString(STYLE);
  // Texts of several lines stand as they are.
  if (/: [|>][+-]?\d?$/m.test(yaml)) return yaml;
  return yaml.split("\n").map(folded).join("\n");
}

/** Y3 */
function folded(line: string): string {
  if (line.length <= WIDTH) return line;
  const [, head, text] = SCALAR_LINE.exec(line) ?? [];
  if (head === undefined || text === undefined) return line;
  const indent = " ".repeat(head.replace(/[A-Za-z0-9_]+: $/, "").length + (head.endsWith("- ") ? 0 : 2));
  let out = head;
  let column = head.length;
  for (const [i, sign] of Array.from(text).entries()) {
    const isLone = sign === " " && i > 1 && i < text.length - 2 && text[i - 1] !== " " && text[i + 1] !== " ";
    if (isLone && column > WIDTH) {
      out += `\n${indent}`;
      column = indent.length;
    } else {
      out += sign;
      column++;
    }
  }
  return out;
}
