export { DiskError, type Disk, type DiskEntry, type DiskErrorKind, type DiskLane, type DiskOp } from "./disk.ts";
