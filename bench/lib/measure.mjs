// One measured round, and statistics over rounds.
import { busyBetween, cpuBetween, cpuOf, ticksOf } from './cpu.mjs';
import { OTHER_CPU, SERVER_CPU } from './stage.mjs';

export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

// Publishes `count` events at `rate` per second (0: at once) and waits until every subscriber has exactly those.
export async function measure(clients, count, rate) {
  const { server, load, publisher } = clients;
  const round = ++clients.round;
  load.say(`round ${round} ${count} ${30000 + (rate > 0 ? Math.ceil((count * 1000) / rate) : 0)}`);
  await load.answer('armed');
  const ticks = [ticksOf(SERVER_CPU), ticksOf(OTHER_CPU)];
  const before = cpuOf(server.pid);
  publisher.say(`run ${round} ${count} ${rate}`);
  await load.answer('complete');
  const cpu = cpuBetween(before, cpuOf(server.pid));
  const [serverBusy, otherBusy] = [SERVER_CPU, OTHER_CPU].map((n, i) => busyBetween(ticks[i], ticksOf(n)));
  const result = await load.answer('round');
  const published = await publisher.answer('published');
  if (!published.ok) throw new Error(`${server.name}: events were not published; see ${publisher.log}`);
  if (!result.ok) {
    const { expected, least, most, disorder, lost } = result;
    throw new Error(`${server.name}: not every subscriber got exactly its ${expected} events in order: ` +
      `least ${least}, most ${most}, out of order ${disorder}, connections lost ${lost}`);
  }
  return {
    ...result,
    published,
    serverCpu: cpu.seconds,
    threads: cpu.threads,
    perCpuSecond: result.deliveries / cpu.seconds,
    serverShare: cpu.seconds / result.seconds,
    loadShare: result.cpu / (result.seconds + 0.05), // its CPU is taken after the 50 ms in which it looks for surplus
    serverBusy,
    otherBusy,
    bytesEach: result.bytes / result.deliveries,
  };
}

// Several rounds as one: sums of deliveries and CPU, medians of latencies.
export function together(rounds) {
  const sum = (pick) => rounds.reduce((total, round) => total + pick(round), 0);
  const threads = new Map();
  for (const [name, seconds] of rounds.flatMap((round) => round.threads)) {
    threads.set(name, (threads.get(name) ?? 0) + seconds);
  }
  return {
    perCpuSecond: sum((r) => r.deliveries) / sum((r) => r.serverCpu),
    perSecond: sum((r) => r.deliveries) / sum((r) => r.seconds),
    seconds: sum((r) => r.seconds),
    serverShare: sum((r) => r.serverCpu) / sum((r) => r.seconds),
    loadShare: sum((r) => r.cpu) / sum((r) => r.seconds + 0.05),
    serverBusy: sum((r) => r.serverBusy * r.seconds) / sum((r) => r.seconds),
    otherBusy: median(rounds.map((r) => r.otherBusy)),
    bytesEach: sum((r) => r.bytes) / sum((r) => r.deliveries),
    p50: median(rounds.map((r) => r.latency.p50)),
    p99: median(rounds.map((r) => r.latency.p99)),
    max: Math.max(...rounds.map((r) => r.latency.max)),
    rounds: rounds.length,
    threads: [...threads].sort((a, b) => b[1] - a[1]),
  };
}
