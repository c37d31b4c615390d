// Virtual machines often give free memory back to their host, page by page, and pay for each page at its next use: some
// 0.5 GB/s where memory does 15. A thousand full socket buffers are gigabytes, so that bursts would measure the host.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const GIGABYTE = 2 ** 30;

// Uses free memory once, right before it is wanted, in a process that is gone afterwards.
export function touchFreeMemory(most = 8) {
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) * 1024;
  const gigabytes = Math.min(most, Math.floor(available / 2 / GIGABYTE));
  const script = `const kept = []; for (let i = 0; i < ${gigabytes}; i++) kept.push(Buffer.alloc(${GIGABYTE}, 1));`;
  spawnSync(process.execPath, ['-e', script], { stdio: 'ignore' });
}
