// snappyjs ships no types.
declare module "snappyjs" {
  export function compress(content: Uint8Array): Uint8Array;
}
