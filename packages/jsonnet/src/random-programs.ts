// Random programs that are well-formed, for tests: most of them give a value. A seed gives the same program always.

/** Draws below `bound`. */
type Draw = (bound: number) => number;

const NAMES = ["x", "y", "z"];
const FIELDS = ["a", "b", "c"];

export function randomProgram(seed: number): string {
  let state = seed >>> 0;
  const draw: Draw = (bound) => {
    // splitmix32
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    mixed ^= mixed >>> 15;
    return (mixed >>> 0) % bound;
  };
  return expression({ draw, variables: [], inObject: false, depth: 5 });
}

interface Place {
  readonly draw: Draw;
  readonly variables: readonly string[];
  readonly inObject: boolean;
  readonly depth: number;
}

function pick<T>(draw: Draw, list: readonly T[]): T {
  return list[draw(list.length)]!;
}

function within(place: Place, changes: Partial<Place> = {}): Place {
  return { ...place, depth: place.depth - 1, ...changes };
}

/** Mostly of one kind each, so that operators find what they want. */
function expression(place: Place): string {
  const kinds = [number, number, text, text, boolean, array, object, object];
  return pick(place.draw, kinds)(place);
}

function number(place: Place): string {
  const { draw, depth } = place;
  if (depth <= 0) return pick(draw, ["0", "1", "2", "10", "0.5", "-3", "1e3"]);
  const inner = within(place);
  switch (draw(9)) {
    case 0:
      return `(${number(inner)} ${pick(draw, ["+", "-", "*", "/", "%"])} ${number(inner)})`;
    case 1:
      return `${pick(draw, ["-", "+"])}${number(inner)}`;
    case 2:
      return `std.length(${pick(draw, [text, array, object])(inner)})`;
    case 3:
      return bound(place, number);
    case 4:
      return `(if ${boolean(inner)} then ${number(inner)} else ${number(inner)})`;
    case 5:
      return `std.foldl(function(x, y) x + y, [${number(inner)}, ${number(inner)}], ${number(inner)})`;
    case 6:
      return `std.floor(${number(inner)} ${pick(draw, ["&", "|", "^"])} ${number(inner)})`;
    case 7:
      return `${object(inner)}.${pick(draw, FIELDS)}`;
    default:
      return number(within(place, { depth: 0 }));
  }
}

function text(place: Place): string {
  const { draw, depth } = place;
  if (depth <= 0) return pick(draw, ['""', '"a"', "'b c'", '@"\\d"', '"é\\n"', '"\\ud83d\\ude00"']);
  const inner = within(place);
  switch (draw(8)) {
    case 0:
      return `(${text(inner)} + ${expression(inner)})`;
    case 1:
      return `("%s|%${pick(draw, ["5", "-5", "05", ""])}d" % [${expression(inner)}, ${number(inner)}])`;
    case 2:
      return `${text(inner)}[${pick(draw, ["0:1", "1:", ":2", "::2", "1:5:3"])}]`;
    case 3:
      return `std.${pick(draw, ["asciiUpper", "asciiLower", "escapeStringJson", "toString"])}(${text(inner)})`;
    case 4:
      return `std.join(${text(inner)}, [${text(inner)}, ${text(inner)}])`;
    case 5:
      return bound(place, text);
    case 6:
      return `std.manifestJsonMinified(${expression(inner)})`;
    default:
      return text(within(place, { depth: 0 }));
  }
}

function boolean(place: Place): string {
  const { draw, depth } = place;
  if (depth <= 0) return pick(draw, ["true", "false"]);
  const inner = within(place);
  switch (draw(6)) {
    case 0:
      return `(${boolean(inner)} ${pick(draw, ["&&", "||"])} ${boolean(inner)})`;
    case 1:
      return `!${boolean(inner)}`;
    case 2:
      return `(${number(inner)} ${pick(draw, ["<", ">", "<=", ">=", "==", "!="])} ${number(inner)})`;
    case 3:
      return `(${expression(inner)} ${pick(draw, ["==", "!="])} ${expression(inner)})`;
    case 4:
      return `("${pick(draw, FIELDS)}" in ${object(inner)})`;
    default:
      return `(${text(inner)} < ${text(inner)})`;
  }
}

function array(place: Place): string {
  const { draw, depth } = place;
  if (depth <= 0) return pick(draw, ["[]", "[1]", "[1, 2, 3]", '["a"]']);
  const inner = within(place);
  switch (draw(7)) {
    case 0:
      return `[${expression(inner)}, ${expression(inner)}]`;
    case 1:
      return `(${array(inner)} + ${array(inner)})`;
    case 2: {
      const name = pick(draw, NAMES);
      const body = within(place, { variables: [...place.variables, name] });
      return `[${expression(body)} for ${name} in ${array(inner)}${draw(2) === 0 ? "" : ` if ${boolean(body)}`}]`;
    }
    case 3:
      return `std.map(function(x) ${mapped(place)}, ${array(inner)})`;
    case 4:
      return `std.sort([${number(inner)}, ${number(inner)}, ${number(inner)}])`;
    case 5:
      return `${array(inner)}[${pick(draw, ["0:1", "1:", ":2", "::2", "1:5:3"])}]`;
    default:
      return bound(place, array);
  }
}

function mapped(place: Place): string {
  return expression(within(place, { variables: [...place.variables, "x"] }));
}

function object(place: Place): string {
  const { draw, depth } = place;
  if (depth <= 0) return pick(draw, ["{}", "{ a: 1 }", "{ a: 1, b: 2, c:: 3 }", '{ ["b"]: "x" }']);
  const inner = within(place);
  switch (draw(6)) {
    case 0:
      return `(${object(inner)} + ${object(inner)})`;
    case 1: {
      const name = pick(draw, NAMES);
      const body = within(place, { variables: [...place.variables, name], inObject: true });
      return `{ ["k" + ${name}]: ${expression(body)} for ${name} in ${array(inner)} }`;
    }
    case 2:
      return bound(place, object);
    default:
      return literal(place);
  }
}

function literal(place: Place): string {
  const { draw } = place;
  const name = pick(draw, NAMES);
  const body = within(place, { variables: [...place.variables, name], inObject: true });
  const members = [`local ${name} = ${expression(within(place, { inObject: true }))}`];
  for (const field of FIELDS) {
    if (draw(3) === 0) continue;
    const colons = pick(draw, [":", ":", ":", "::", ":::", "+:"]);
    const value = pick(draw, [
      () => expression(body),
      () => number(body),
      () => `self.${pick(draw, FIELDS)}`,
    ]);
    members.push(`${field}${colons} ${value()}`);
  }
  return `{ ${members.join(", ")} }`;
}

/** A variable, or a `local` around something of the kind. */
function bound(place: Place, kind: (place: Place) => string): string {
  const { draw, variables } = place;
  if (variables.length > 0 && draw(2) === 0) return pick(draw, variables);
  const name = pick(draw, NAMES);
  const inner = within(place, { variables: [...variables, name] });
  if (draw(3) === 0) {
    return `(local f(${name}, d=${expression(within(place))}) = ${kind(inner)}; f(${expression(within(place))}))`;
  }
  return `(local ${name} = ${expression(within(place))}; ${kind(inner)})`;
}
