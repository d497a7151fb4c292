export {
  DiskError,
  type Disk,
  type DiskEntry,
  type DiskSpace,
  type DiskErrorKind,
  type DiskLane,
  type DiskOp,
} from "./disk.ts";
export { copyInto, sharedBytes } from "./shared-bytes.ts";
export { assertDiskPath } from "./disk-path.ts";
export { openSystemDisk } from "./system-disk.ts";
export { crc32c } from "./crc32c.ts";
export { GROUP_HEADER_BYTES, RECORD_HEADER_BYTES } from "./group-codec.ts";
export { scanLog, type LogScan, type RecordVisitor, type ScannedSegment } from "./log-scan.ts";
export { LOG_DEFAULTS, type LogOptions } from "./log-options.ts";
export type { LogListener } from "./log-group.ts";
export { WriteAheadLog, type LogHooks, type LogPorts } from "./write-ahead-log.ts";
export { readCheckpoint, writeCheckpoint, type Checkpoint } from "./checkpoint-file.ts";
