// `millrace journals`: the group.
import type { Command } from "commander";
import type { CliIo } from "./cli-io.ts";
import { addJournalsAppend } from "./command-journals-append.ts";
import { addJournalsApply } from "./command-journals-apply.ts";
import { addJournalsEdit } from "./command-journals-edit.ts";
import { addJournalsFragments } from "./command-journals-fragments.ts";
import { addJournalsList } from "./command-journals-list.ts";
import { addJournalsPrune } from "./command-journals-prune.ts";
import { addJournalsRead } from "./command-journals-read.ts";
import { addJournalsResetHead } from "./command-journals-reset-head.ts";
import { addJournalsStoreHealth } from "./command-journals-store-health.ts";
import { addJournalsSuspend } from "./command-journals-suspend.ts";

export function addJournalsCommand(program: Command, io: CliIo): void {
  const group = program.command("journals").description("List, change, read and append to journals");
  addJournalsList(group, io);
  addJournalsApply(group, io);
  addJournalsEdit(group, io);
  addJournalsRead(group, io);
  addJournalsAppend(group, io);
  addJournalsFragments(group, io);
  addJournalsPrune(group, io);
  addJournalsSuspend(group, io);
  addJournalsResetHead(group, io);
  addJournalsStoreHealth(group, io);
}
