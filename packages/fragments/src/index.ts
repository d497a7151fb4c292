export type {
  CommitOutcome,
  JournalLife,
  LocalFragment,
  Spool,
  SpoolAppend,
  Spools,
} from "./spools.ts";
