// `application/x-www-form-urlencoded` with nested keys (keboola-stream specification 3.1): `a=1`, `key[x]=1` makes an
// object, `key[]=1` an array. The result is JSON, so that paths are looked up in it as in any other body.
import { utf8 } from "@millrace/base";

/** Brackets in one key. */
const DEPTH_MAX = 32;

type FormValue = string | FormObject | FormValue[];
interface FormObject {
  [key: string]: FormValue;
}

export type FormOutcome =
  | { readonly kind: "json"; readonly bytes: Uint8Array }
  | { readonly kind: "invalid"; readonly reason: string };

/** The fields of a form, by their names. */
export class FormFields {
  readonly #root = emptyObject();

  /** @returns why there is no such field */
  add(name: string, value: string): string | undefined {
    const steps = stepsOf(name);
    if (steps.length > DEPTH_MAX) return `keys nested deeper than ${DEPTH_MAX}`;
    put(this.#root, steps, value);
    return undefined;
  }

  json(): Uint8Array {
    return utf8(JSON.stringify(this.#root));
  }
}

/** @param text the body, whose bytes are ASCII or UTF-8 */
export function decodeForm(text: string): FormOutcome {
  const fields = new FormFields();
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = decode(equals < 0 ? "" : pair.slice(equals + 1));
    if (name === undefined || value === undefined) {
      return { kind: "invalid", reason: `invalid escape in "${pair.slice(0, 60)}"` };
    }
    const reason = fields.add(name, value);
    if (reason !== undefined) return { kind: "invalid", reason };
  }
  return { kind: "json", bytes: fields.json() };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/** `a[b][]` as a, b and the empty step. What is not of this form is one plain key. */
function stepsOf(name: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
  if (match === null) return [name];
  const [, first = "", rest = ""] = match;
  return [first, ...Array.from(rest.matchAll(/\[([^[\]]*)\]/g), ([, step = ""]) => step)];
}

function put(root: FormObject, steps: readonly string[], value: string): void {
  let holder: FormValue = root;
  for (let i = 0; i < steps.length; i++) {
    const step: string = steps[i]!;
    const isLast = i === steps.length - 1;
    const wantsArray = steps[i + 1] === "";
    if (Array.isArray(holder)) {
      // Only an empty step leads into an array; the last element is never gone into again.
      const inner: FormValue = isLast ? value : wantsArray ? [] : emptyObject();
      holder.push(inner);
      holder = inner;
      continue;
    }
    const object: FormObject = holder as FormObject;
    const known: FormValue | undefined = object[step];
    let inner: FormValue;
    if (isLast) inner = value;
    else if (typeof known === "object" && (Array.isArray(known) ? wantsArray : true)) inner = known;
    else if (Array.isArray(known)) inner = Object.assign(emptyObject(), known);
    else inner = wantsArray ? [] : emptyObject();
    object[step] = inner;
    holder = inner;
  }
}

/** Without a prototype: a key may have any name. */
function emptyObject(): FormObject {
  return Object.create(null) as FormObject;
}
