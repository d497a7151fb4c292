// Integers and booleans as Gazette's tools read them: YAML 1.1 in the way of Go's yaml.v2, so that a journalspace means
// the same to both. A text with a fraction is no integer here; there it loses it without a word.

const BINARY = /^0b[01]+$/i;
const HEXADECIMAL = /^0x[0-9a-f]+$/i;
const OCTAL = /^0o?([0-7]+)$/i;
/** Also `089`: what is no octal number has no base but ten. */
const DECIMAL = /^[0-9]+$/;
const FLOAT = /^(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?$/i;

const TRUE = ["y", "yes", "on", "true"];
const FALSE = ["n", "no", "off", "false"];

/** @returns undefined for what is none */
export function yamlInteger(text: string): bigint | undefined {
  const [, sign, digits] = /^([-+]?)(.*)$/s.exec(text.replaceAll("_", ""))!;
  const magnitude = magnitudeOf(digits!);
  return magnitude !== undefined && sign === "-" ? -magnitude : magnitude;
}

function magnitudeOf(digits: string): bigint | undefined {
  if (BINARY.test(digits) || HEXADECIMAL.test(digits)) return BigInt(digits.toLowerCase());
  const octal = OCTAL.exec(digits)?.[1];
  if (octal !== undefined) return BigInt(`0o${octal}`);
  if (DECIMAL.test(digits)) return BigInt(digits);
  const float = FLOAT.test(digits) ? Number(digits) : Number.NaN;
  return Number.isSafeInteger(float) ? BigInt(float) : undefined;
}

/** Lower case, capitalised or upper case. @returns undefined for what is none */
export function yamlBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase();
  const isWord = text === lower || text === text.toUpperCase() || text === capitalised(lower);
  if (isWord && TRUE.includes(lower)) return true;
  if (isWord && FALSE.includes(lower)) return false;
  return undefined;
}

function capitalised(lower: string): string {
  return `${lower.slice(0, 1).toUpperCase()}${lower.slice(1)}`;
}
