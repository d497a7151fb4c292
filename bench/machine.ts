// The machine that figures were taken on.
import { cpus, release, totalmem } from "node:os";

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
}

export function machineFacts(): MachineFacts {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

export function describeMachine({ cpu, cores, memoryGiB, node }: MachineFacts): string {
  return `${cores} cores (${cpu}), ${memoryGiB} GiB, Node ${node}, load and server on the same machine`;
}
