// Tidy rules that look at one file at a time: bans of the house style, sizes, names.

import { type Finding, isTest, type Repo, type SourceFile } from "./tidy-repo.ts";
import { lineAt } from "./tidy-scan.ts";
import { BROWSER_SAFE } from "./tidy-table.ts";

const LINE_CHARS_MAX = 120;
const FILE_LINES_MAX = 500;

interface Ban {
  readonly rule: string;
  readonly pattern: RegExp;
  readonly instead: string;
}

/** Not after a dot (somebody's method), unless that is the global object. */
const GLOBAL = String.raw`(?<![\w$.])(?:globalThis\s*\.\s*)?`;
const ban = (rule: string, pattern: string, instead: string): Ban => ({
  rule,
  pattern: new RegExp(GLOBAL + pattern, "g"),
  instead,
});

/** The outside world comes through ports: time, chance and settings. */
const PORT_BANS: readonly Ban[] = [
  ban("no-wall-clock", String.raw`Date\s*\.\s*now\b`, "take a Clock and call wallMs()"),
  ban("no-wall-clock", String.raw`new\s+Date\s*(?:\(\s*\)|(?![\w\s(]))`, "take a Clock and call wallMs()"),
  ban("no-random", String.raw`Math\s*\.\s*random\b`, "take a Random"),
  ban("no-random", String.raw`(?:crypto\s*\.\s*)?randomUUID\s*\(`, "take a Random"),
  ban("no-monotonic-clock", String.raw`performance\s*\.\s*now\b`, "take a Clock and call monotonicMs()"),
  ban("no-monotonic-clock", String.raw`process\s*\.\s*hrtime\b`, "take a Clock and call monotonicMs()"),
  ban("no-timers", String.raw`set(?:Timeout|Interval)\s*\(`, "take a Clock and call sleep(ms, signal)"),
  ban("no-environment", String.raw`process\s*\.\s*env\b`, "take the setting as an argument"),
];
const PORT_MODULES: ReadonlyMap<string, string> = new Map([
  ["node:timers", "take a Clock and call sleep(ms, signal)"],
  ["node:timers/promises", "take a Clock and call sleep(ms, signal)"],
]);

const BROWSER_BANS: readonly Ban[] = [
  ban("browser-safe", String.raw`Buffer\s*[.(]`, "use Uint8Array and the byte functions of base"),
  ban("browser-safe", String.raw`process\s*\.`, "take it through a port"),
];

const TEST_BANS: readonly Ban[] = [
  ban("no-only", String.raw`(?:test|it|describe|suite)\s*\.\s*only\b`, "remove it, or the others never run"),
  ban("no-only", String.raw`only\s*:\s*true\b`, "remove it, or the others never run"),
  ban("skip-reason", String.raw`(?:test|it|describe|suite)\s*\.\s*(?:skip|todo)\b`, 'say { skip: "why" }'),
  ban("skip-reason", String.raw`(?:skip|todo)\s*:\s*true\b`, 'say { skip: "why" }'),
];

const TYPE_BANS: readonly Ban[] = [
  ban("no-any", String.raw`(?<=(?:[:<|&,]|\bas|=>)\s*)any\b(?!\s*[:(?])`, "use unknown and narrow it"),
];

const CONSOLE_BAN = ban(
  "no-console",
  String.raw`console\s*\.\s*\w+`,
  "take a Logger; a command prints in output*.ts",
);

export function checkFile(repo: Repo, file: SourceFile): Finding[] {
  return [
    ...checkNames(file),
    ...checkSizes(file),
    ...checkWords(file),
    ...checkEvents(repo, file),
    ...checkBans(repo, file),
  ];
}

function checkNames({ path }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  const add = (rule: string, message: string): void =>
    void findings.push({ file: path, line: 1, rule, message });
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (/^(?:utils?|helpers?|common|misc)\.\w+$/i.test(name)) {
    add("file-name", `"${name}" says nothing; name the file after the one concept in it`);
  }
  if (name.endsWith(".ts") && !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*\.ts$/.test(name)) {
    add("file-name", `"${name}" is not kebab-case`);
  }
  if (/^packages\/[^/]+\/src\/.+\/index\.ts$/.test(path)) {
    add("no-inner-barrel", "only src/index.ts is a barrel; import the file itself");
  }
  return findings;
}

function checkSizes({ path, text }: SourceFile): Finding[] {
  const lines = text.split("\n");
  const findings = lines.flatMap((line, index): Finding[] => {
    if (line.length <= LINE_CHARS_MAX) return [];
    const message = `${line.length} characters (at most ${LINE_CHARS_MAX}); break the line`;
    return [{ file: path, line: index + 1, rule: "line-length", message }];
  });
  const count = text.endsWith("\n") ? lines.length - 1 : lines.length;
  if (count > FILE_LINES_MAX) {
    const message = `${count} lines (at most ${FILE_LINES_MAX}); split it by concept`;
    findings.push({ file: path, line: FILE_LINES_MAX + 1, rule: "file-length", message });
  }
  return findings;
}

/** Words that may stand nowhere, comments included. */
function checkWords({ path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const match of text.matchAll(/\b(?:FIXM[E]|TOD[O])\b/g)) {
    const message = `${match[0]}: do it now, or write it into an issue`;
    findings.push({ file: path, line: lineAt(text, match.index), rule: "no-leftovers", message });
  }
  for (const match of text.matchAll(/@ts-(?:ignore|nocheck|expect-erro[r])/g)) {
    const message = `${match[0]}: mend the type instead`;
    findings.push({ file: path, line: lineAt(text, match.index), rule: "no-ts-comment", message });
  }
  return findings;
}

const LOG_CALL = /\blogger(?:\.(?:debug|info|warn|error)|\[[^\]]+\])\(\s*(["'`])(.*?)\1/gi;

/** H13: events have stable names, of one style, since people search logs for them. */
function checkEvents(repo: Repo, { path, text }: SourceFile): Finding[] {
  if (!repo.shipped.has(path) || isTest(path)) return [];
  return [...text.matchAll(LOG_CALL)].flatMap((match): Finding[] => {
    const [, , event = ""] = match;
    if (/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(event)) return [];
    const message = `"${event}": name the event in kebab-case, and put what differs into fields`;
    return [{ file: path, line: lineAt(text, match.index), rule: "event-name", message }];
  });
}

function checkBans(repo: Repo, file: SourceFile): Finding[] {
  const { path } = file;
  const inPackage = file.package !== undefined && path.includes("/src/");
  const isSystem = /\/system-[a-z0-9-]+\.ts$/.test(path);
  const shipped = inPackage && repo.shipped.has(path) && !isTest(path);
  const bans: Ban[] = [...TYPE_BANS];
  if (isTest(path)) bans.push(...TEST_BANS);
  const behindPorts = shipped && !isSystem && file.package !== "console";
  if (behindPorts) bans.push(...PORT_BANS);
  const browserSafe = shipped && !isSystem && BROWSER_SAFE.includes(file.package ?? "");
  if (browserSafe) bans.push(...BROWSER_BANS);
  const mayPrint = /^packages\/cli\/src\/(?:[^/]+\/)*output[a-z0-9-]*\.ts$/.test(path);
  if (inPackage && !mayPrint && file.package !== "console") bans.push(CONSOLE_BAN);

  const findings = bans.flatMap(({ rule, pattern, instead }): Finding[] =>
    [...file.scan.code.matchAll(pattern)].map((match) => ({
      file: path,
      line: lineAt(file.scan.code, match.index),
      rule,
      message: `${match[0].trim().replace(/\s*\($/, "")}: ${instead}`,
    })),
  );
  for (const { specifier, line } of file.imports) {
    const instead = PORT_MODULES.get(specifier);
    if (behindPorts && instead !== undefined) {
      findings.push({ file: path, line, rule: "no-timers", message: `${specifier}: ${instead}` });
    }
    if (browserSafe && specifier.startsWith("node:")) {
      const message = `${specifier}: this package runs in a browser; only system-*.ts may use Node`;
      findings.push({ file: path, line, rule: "browser-safe", message });
    }
  }
  return findings;
}
