// Every operation of the API, in the order of the document.
import type { Operation } from "./operation.ts";
import { deadLetterOperations } from "./operations-dead-letters.ts";
import { editorOperations } from "./operations-editor.ts";
import { settingOperations } from "./operations-settings.ts";
import { sinkOperations } from "./operations-sinks.ts";
import { sourceOperations } from "./operations-sources.ts";
import { statisticsOperations } from "./operations-statistics.ts";
import { taskOperations } from "./operations-tasks.ts";
import { testOperations } from "./operations-test.ts";
import { tokenOperations } from "./operations-tokens.ts";
import { versionOperations } from "./operations-versions.ts";

export const OPERATIONS: readonly Operation[] = [
  ...sourceOperations,
  ...sinkOperations,
  ...settingOperations,
  ...versionOperations,
  ...statisticsOperations,
  ...deadLetterOperations,
  ...testOperations,
  ...editorOperations,
  ...taskOperations,
  ...tokenOperations,
];
