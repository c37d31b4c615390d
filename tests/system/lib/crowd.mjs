// Thousands of clients of one bridge, and what of them is left.
import { readFileSync } from 'node:fs';
import { until } from './processes.mjs';

const AT_ONCE = 32;

export async function many(count, make) {
  const made = [];
  let next = 0;
  const worker = async () => {
    while (next++ < count) made.push(await make());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return made;
}

/* How many connections of clients have a descriptor: other than that, only the kernel still knows of them (inode 0). */
export function descriptors(bridge) {
  const port = bridge.port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'utf8').split('\n').map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state, , , , , , inode]) => local?.endsWith(`:${port}`) && state !== '0A' && inode !== '0').length;
}

export const sessions = (bridge) => bridge.metric('causeway_connections');

export async function returns(bridge, timeout) {
  await until('the descriptors to return', () => descriptors(bridge) === 0, { timeout, every: 50 });
  await until('the sessions to be gone', async () => await sessions(bridge) === 0, { timeout, every: 50 });
}
