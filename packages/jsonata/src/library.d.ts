// What is used of the library. Its own types have `any` for every value, and do not know that hooks have symbols for
// names, nor that a function's environment can be asked for another function.
declare module "jsonata" {
  interface Environment {
    timestamp: Date;
    lookup(name: string): LibraryFunction;
  }

  interface LibraryFunction {
    readonly implementation: (...args: unknown[]) => unknown;
  }

  interface Node {
    readonly type: string;
    readonly value?: unknown;
  }

  interface Focus {
    readonly environment: Environment;
  }

  interface Expression {
    evaluate(input: unknown): Promise<unknown>;
    assign(name: symbol, hook: (node: Node, input: unknown, environment: Environment) => void): void;
    registerFunction(
      name: string,
      implementation: (this: Focus, argument?: string, second?: string) => unknown,
      signature?: string,
    ): void;
  }

  interface Options {
    readonly stack: number;
    readonly sequence: number;
  }

  export type { Environment, Expression, Node };
  export default function jsonata(program: string, options: Options): Expression;
}
