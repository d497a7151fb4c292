// `millrace tokens`: who may use the platform. The first token makes tokens required.
import { Option, type Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import type { JsonOptions } from "./stream-options.ts";
import { openApi } from "./system-api-door.ts";
import { addDoorOptions } from "./system-doors.ts";
import { renderTable } from "./table-output.ts";

interface TokenOptions extends JsonOptions {
  readonly role: "admin" | "readOnly";
  readonly description?: string;
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
    const made = await (await openApi(options, io)).call("createToken", { body: { role, description } });
    io.out(options.json === true ? `${JSON.stringify(made)}\n` : `${made.token}\n`);
  });
  const list = group.command("list").description("List tokens, oldest first").option("--json", "print JSON");
  addDoorOptions(list, "api").action(async (options: TokenOptions) => {
    const { tokens } = await (await openApi(options, io)).call("listTokens", {});
    if (options.json === true) return io.out(`${JSON.stringify(tokens)}\n`);
    const rows = tokens.map(({ tokenId, role, description, created }) => {
      return [tokenId, role, created.at, description];
    });
    io.out(renderTable(["ID", "ROLE", "CREATED", "DESCRIPTION"], rows));
  });
  const remove = group
    .command("delete")
    .description("Delete a token: it opens nothing any more")
    .argument("<id>", "id of the token, as listed")
    .option("--json", "print JSON");
  addDoorOptions(remove, "api").action(async (id: string, options: TokenOptions) => {
    await (await openApi(options, io)).call("deleteToken", { tokenId: id });
    io.out(options.json === true ? `${JSON.stringify({ tokenId: id })}\n` : `${id}\n`);
  });
}
