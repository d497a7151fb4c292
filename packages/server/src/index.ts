export { environmentName, SETTING_NAMES, SETTINGS, type Config, type SettingName } from "./settings.ts";
export { printConfig, type PrintedSetting, type ResolvedConfig } from "./config.ts";
export { loadConfig } from "./system-config.ts";
export { COMPONENTS, type ComponentName } from "./components.ts";
export { runPlatform, type PlatformRun } from "./system-run-platform.ts";
export { runDemo, type DemoSettings, type DemoSummary } from "./system-run-demo.ts";
export { examineDataDirectory } from "./system-doctor.ts";
export type { DoctorCheck, DoctorProblem, DoctorReport, Verdict } from "./doctor-report.ts";
