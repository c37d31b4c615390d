// What the kernel has counted: CPU time per thread in nanoseconds, memory, how busy a CPU was.
import { readFileSync, readdirSync } from 'node:fs';

// Nanoseconds on a CPU, system calls and the softirqs charged to them included: {total, threads: Map(name -> ns)}.
// (utime and stime of /proc/PID/stat are the same sum, but rounded to 10 ms.)
export function cpuOf(pid) {
  const threads = new Map();
  let total = 0;
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    try {
      const ns = Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
      const name = readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim();
      threads.set(name, (threads.get(name) ?? 0) + ns);
      total += ns;
    } catch {
      // a thread that has just ended
    }
  }
  return { total, threads };
}

export function cpuBetween(before, after) {
  const threads = [...after.threads].map(([name, ns]) => [name, (ns - (before.threads.get(name) ?? 0)) / 1e9]);
  return { seconds: (after.total - before.total) / 1e9, threads: threads.sort((a, b) => b[1] - a[1]) };
}

// {resident, anonymous} in bytes.
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]) * 1024;
  return { resident: bytes('VmRSS'), anonymous: bytes('RssAnon') };
}

// Ticks of one CPU: {busy, all}; two of them give a share.
export function ticksOf(cpu) {
  const line = readFileSync('/proc/stat', 'utf8').split('\n').find((text) => text.startsWith(`cpu${cpu} `));
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, n) => sum + n, 0);
  return { busy: all - ticks[3] - ticks[4], all };
}

export const busyBetween = (before, after) => (after.busy - before.busy) / Math.max(1, after.all - before.all);
