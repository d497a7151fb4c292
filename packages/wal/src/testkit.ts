export { filesOf, memoryDisk, SimulatedDisk, type SimulatedDiskOptions } from "./simulated-disk.ts";
export { SimulatedFile } from "./simulated-files.ts";
export { rotSomewhere, type Rot } from "./simulated-rot.ts";
