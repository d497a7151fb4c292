// The environment that a command was started in.
export function environmentVariable(name: string): string | undefined {
  return process.env[name];
}
