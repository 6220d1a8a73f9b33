/** The package brings no types. */
declare module "snappyjs" {
  export function uncompress(compressed: Buffer): Buffer;
  export function compress(plain: Buffer): Buffer;
}
