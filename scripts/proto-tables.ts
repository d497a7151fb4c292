// Turns .proto definitions into the typed tables of @millrace/protobuf: as much of proto3 as etcd's API uses. Comments
// and options are not read, so nothing but names, types and numbers gets into the tables.

export interface ProtoField {
  readonly name: string;
  /** As written: `int64`, `KeyValue`, `mvccpb.KeyValue`. */
  readonly type: string;
  readonly number: number;
  readonly isRepeated: boolean;
}

export interface ProtoMessage {
  readonly name: string;
  readonly fields: readonly ProtoField[];
}

export interface ProtoEnum {
  readonly name: string;
  readonly values: readonly (readonly [name: string, number: number])[];
}

export interface ProtoMethod {
  readonly name: string;
  readonly request: string;
  readonly response: string;
}

export interface ProtoService {
  /** With its package: `etcdserverpb.KV`. */
  readonly name: string;
  readonly methods: readonly ProtoMethod[];
}

export interface ProtoFile {
  readonly messages: ReadonlyMap<string, ProtoMessage>;
  readonly enums: ReadonlyMap<string, ProtoEnum>;
  readonly services: readonly ProtoService[];
}

/**
 * Messages and enums by their name without package; an enum inside a message is hoisted, and gets the message's name in
 * front when its own says nothing (`Type`). @throws Error on other syntax
 */
export function parseProto(texts: readonly string[]): ProtoFile {
  const file = { messages: new Map(), enums: new Map(), services: [] };
  for (const text of texts) new Parser(text).parseInto(file);
  return file;
}

interface ParsedFile {
  readonly messages: Map<string, ProtoMessage>;
  readonly enums: Map<string, ProtoEnum>;
  readonly services: ProtoService[];
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  #package = "";

  constructor(text: string) {
    const code = text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, "");
    this.#tokens = code.match(/"(?:[^"\\]|\\.)*"|[\w.]+|[^\s\w]/g) ?? [];
  }

  parseInto(file: ParsedFile): void {
    while (this.#at < this.#tokens.length) {
      const word = this.#next();
      if (word === "package") this.#package = this.#next();
      else if (word === "message") this.#message(file);
      else if (word === "enum") this.#enum(file);
      else if (word === "service") file.services.push(this.#service());
      else if (word !== "syntax" && word !== "import" && word !== "option" && word !== ";") this.#fail(word);
      if (word !== "message" && word !== "enum" && word !== "service" && word !== ";") this.#skipTo(";");
    }
  }

  #message(file: ParsedFile): void {
    const name = this.#next();
    const fields: ProtoField[] = [];
    const hoisted = new Map<string, string>();
    this.#expect("{");
    for (let open = 1; open > 0;) {
      const word = this.#next();
      if (word === "}") open--;
      else if (word === "oneof") {
        this.#next();
        this.#expect("{");
        open++;
      } else if (word === "enum") {
        if (this.#tokens[this.#at] === "Type") hoisted.set("Type", `${name}Type`);
        this.#enum(file, name);
      } else if (word === "option") this.#skipTo(";");
      else if (word !== ";") fields.push(this.#field(word));
    }
    const resolved = fields.map((field) => ({ ...field, type: hoisted.get(field.type) ?? field.type }));
    file.messages.set(name, { name, fields: resolved });
  }

  #field(word: string): ProtoField {
    const isRepeated = word === "repeated";
    const type = isRepeated ? this.#next() : word;
    const name = this.#next();
    this.#expect("=");
    const number = Number(this.#next());
    this.#skipTo(";");
    return { name, type, number, isRepeated };
  }

  #enum(file: ParsedFile, holder = ""): void {
    const word = this.#next();
    const name = word === "Type" ? holder + word : word;
    const values: [string, number][] = [];
    this.#expect("{");
    for (let value = this.#next(); value !== "}"; value = this.#next()) {
      if (value === "option") this.#skipTo(";");
      else {
        this.#expect("=");
        values.push([value, Number(this.#next())]);
        this.#skipTo(";");
      }
    }
    file.enums.set(name, { name, values });
  }

  #service(): ProtoService {
    const name = `${this.#package}.${this.#next()}`;
    const methods: ProtoMethod[] = [];
    this.#expect("{");
    for (let word = this.#next(); word !== "}"; word = this.#next()) {
      if (word !== "rpc") this.#fail(word);
      const method = this.#next();
      const request = this.#parameter();
      this.#expect("returns");
      methods.push({ name: method, request, response: this.#parameter() });
      if (this.#next() === "{") this.#skipBlock();
    }
    return { name, methods };
  }

  #parameter(): string {
    this.#expect("(");
    const word = this.#next();
    const type = word === "stream" ? this.#next() : word;
    this.#expect(")");
    return type;
  }

  #skipBlock(): void {
    for (let open = 1; open > 0;) {
      const word = this.#next();
      if (word === "{") open++;
      else if (word === "}") open--;
    }
  }

  /** Past the next `end` that is not inside braces. */
  #skipTo(end: string): void {
    for (let word = this.#next(); word !== end; word = this.#next()) if (word === "{") this.#skipBlock();
  }

  #expect(word: string): void {
    const found = this.#next();
    if (found !== word) this.#fail(`${found} (expected ${word})`);
  }

  #next(): string {
    return this.#tokens[this.#at++] ?? this.#fail("the end");
  }

  #fail(what: string): never {
    throw new Error(`proto: unexpected ${what} at token ${this.#at}`);
  }
}

/** Names of the messages that `roots` hold, themselves included. */
export function reachable(file: ProtoFile, roots: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...roots];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const known = file.messages.get(name);
    if (known === undefined || found.has(name)) continue;
    found.add(name);
    open.push(...known.fields.map(({ type }) => localName(type)));
  }
  return found;
}

/** `mvccpb.KeyValue` -> `KeyValue`. */
export function localName(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1);
}
