// `millrace tokens`: who may use the platform. The first token makes tokens required.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { addDoorOptions, callDoor, type DoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

const TOKENS = "/v1/tokens";

interface TokenOptions extends DoorOptions {
  readonly role: "admin" | "readOnly";
  readonly description?: string;
  readonly json?: true;
}

interface Token {
  readonly tokenId: string;
  readonly description: string;
  readonly role: string;
  readonly created: { readonly at: string };
}

export function addTokensCommand(program: Command, io: CliIo): void {
  const group = program
    .command("tokens")
    .description("Create, list and delete tokens: the first one makes tokens required at every door");
  const create = group
    .command("create")
    .description("Create a token and print it: it is shown this once")
    .addOption(
      new Option("--role <ROLE>", "what it may do: everything, or what changes nothing")
        .choices(["admin", "readOnly"])
        .default("admin"),
    )
    .option("--description <TEXT>", "what it is for")
    .option("--json", "print the token with its id as JSON");
  addDoorOptions(create, "api").action(async ({ role, description = "", ...options }: TokenOptions) => {
    const call = { method: "POST", path: TOKENS, body: { role, description } } as const;
    const answer = await callDoor("api", options, call, io.signal);
    const made = JSON.parse(answer) as Token & { readonly token: string };
    io.out(options.json === true ? `${JSON.stringify(made)}\n` : `${made.token}\n`);
  });
  const list = group.command("list").description("List tokens, oldest first").option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (options: TokenOptions) => {
    const answer = await callDoor("api", options, { method: "GET", path: TOKENS }, io.signal);
    const { tokens } = JSON.parse(answer) as { readonly tokens: readonly Token[] };
    if (options.json === true) return io.out(`${JSON.stringify(tokens)}\n`);
    const rows = tokens.map(({ tokenId, role, description, created }) => [
      tokenId,
      role,
      created.at,
      description,
    ]);
    io.out(renderTable(["ID", "ROLE", "CREATED", "DESCRIPTION"], rows));
  });
  const remove = group
    .command("delete")
    .description("Delete a token: it opens nothing any more")
    .argument("<id>", "id of the token, as listed")
    .option("--json", "print JSON");
  addDoorOptions(remove, "api").action(async (id: string, options: TokenOptions) => {
    const path = `${TOKENS}/${encodeURIComponent(id)}`;
    await callDoor("api", options, { method: "DELETE", path }, io.signal);
    io.out(options.json === true ? `${JSON.stringify({ tokenId: id })}\n` : `${id}\n`);
  });
}
