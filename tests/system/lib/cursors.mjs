// Cursors as the program writes them (src/core/cursor.c), so that a test can write ones that it never would: with the right
// check sum, of other versions, of places that there are none.

const MASK = (1n << 64n) - 1n;
const ONE = 0xA0761D6478BD642Fn;
const TWO = 0xE7037ED1A0B428DBn;
const SUM_SEED = 0x6375n;

function fold(a, b) {
  const product = a * b;
  return (product & MASK) ^ (product >> 64n);
}

/* hash_bytes() of base/map.c. */
export function hashBytes(bytes, start) {
  let seed = start ^ fold(start ^ ONE, TWO);
  let at = 0;
  let left = bytes.length;
  for (; left > 16; at += 16, left -= 16) seed = fold(bytes.readBigUInt64LE(at) ^ TWO, bytes.readBigUInt64LE(at + 8) ^ seed);
  let a = 0n;
  let b = 0n;
  if (left >= 8) [a, b] = [bytes.readBigUInt64LE(at), bytes.readBigUInt64LE(at + left - 8)];
  else if (left >= 4) [a, b] = [BigInt(bytes.readUInt32LE(at)), BigInt(bytes.readUInt32LE(at + left - 4))];
  else if (left > 0) a = BigInt((bytes[at] << 16) | (bytes[at + (left >> 1)] << 8) | bytes[at + left - 1]);
  return fold(TWO ^ BigInt(bytes.length), fold(a ^ TWO, b ^ seed));
}

function varint(number) {
  const bytes = [];
  let rest = BigInt(number);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number((rest & 0x7fn) | 0x80n));
  return [...bytes, Number(rest)];
}

const signed = (bytes) => {
  const sum = Number(hashBytes(bytes, SUM_SEED) & 0xffffn);
  return Buffer.concat([bytes, Buffer.from([sum & 0xff, sum >> 8])]).toString('base64url');
};

const body = (cursor) => Buffer.from(cursor, 'base64url').subarray(0, -2);

/* Is it what the program would sign? */
export const isSigned = (cursor) => signed(body(cursor)) === cursor;

/* The same, with bytes changed by `change`, and signed again. */
export function resigned(cursor, change) {
  const bytes = Buffer.from(body(cursor));
  return signed(change(bytes) ?? bytes);
}

/* Of the journal that minted `like`. */
export function forged(like, { checkpoint, ahead = 0, spread = 0, flags = 7, steps = [] }) {
  const numbers = [checkpoint, ahead, (BigInt(spread) << 3n) | BigInt(flags), ...steps.flat()];
  return signed(Buffer.from([...body(like).subarray(0, 7), ...numbers.flatMap(varint)]));
}
