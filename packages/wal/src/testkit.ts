export { filesOf, memoryDisk, SimulatedDisk, type SimulatedDiskOptions } from "./simulated-disk.ts";
export { SimulatedFile } from "./simulated-files.ts";
