export { environmentName, SETTING_NAMES, SETTINGS, type Config, type SettingName } from "./settings.ts";
export { printConfig, type PrintedSetting, type ResolvedConfig } from "./config.ts";
export { loadConfig } from "./system-config.ts";
export { stderrScreen } from "./screen.ts";
export { COMPONENTS, type ComponentName } from "./components.ts";
export { examineDataDirectory, runDemo, runPlatform } from "./on-demand.ts";
export type { PlatformRun } from "./system-run-platform.ts";
export type { DemoSettings, DemoSummary } from "./system-run-demo.ts";
export type { DoctorCheck, DoctorProblem, DoctorReport, Verdict } from "./doctor-report.ts";
