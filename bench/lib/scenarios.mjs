// What is measured, and against which bar. Each scenario returns {rows, verdicts, detail}: rows are lines of the table,
// verdicts say {what, bar, measured, ok}.
import { setTimeout as sleep } from 'node:timers/promises';
import { busyBetween, cpuBetween, cpuOf, memoryOf, ticksOf } from './cpu.mjs';
import { measure, median, together } from './measure.mjs';
import { touchFreeMemory } from './memory.mjs';
import { paired } from './paired.mjs';
import { BOTH_CPUS, OTHER_CPU } from './stage.mjs';

// A client that does not look at what it discards does not answer pings either.
export const NO_PINGS = { PING_INTERVAL: '3600', LIFE_TIMEOUT: '7200' };
const PAIRED_BARS = { single: 0.8, burst: 3 };
const RATE_BAR_MS = 50;
const JOIN_ALL = 400; // 128 KiB, as Causeway writes at once
const IDLE_BAR_BYTES = 6 * 1024;
const IDLE_BAR_SHARE = 0.01;
const IDLE_PING_SECONDS = 30;

const besideBare = (stage, join) => ({ yard: () => stage.bare(join), own: () => stage.server() });

export function pairedResult(result, name, yardName, bar) {
  const spread = `${Math.min(...result.ratios).toFixed(2)}-${Math.max(...result.ratios).toFixed(2)}`;
  return {
    rows: [{ name: yardName, ...result.yard }, { name: 'causeway', ...result.causeway, ratio: result.ratio }],
    verdicts: [{ what: `${name}: deliveries per CPU second against ${yardName}`, bar: `>= ${bar.toFixed(2)}`,
      measured: `${result.ratio.toFixed(2)} (${spread})`, ok: result.ratio >= bar }],
    detail: result,
  };
}

export async function single(stage, { quick, rounds, note }) {
  const starts = quick ? 1 : 2;
  const result = await paired(stage, { ...besideBare(stage, 1), count: 180, rate: 60, warm: 60, linger: 0, starts,
    rounds: Math.ceil((rounds ?? (quick ? 3 : 8)) / starts), note });
  return pairedResult(result, 'single events, 60/s', 'bare k=1', PAIRED_BARS.single);
}

export async function burst(stage, { quick, rounds, note }) {
  const starts = quick ? 1 : 3;
  const result = await paired(stage, { ...besideBare(stage, 16), count: 2000, rate: 0, repeat: 2, warm: 2000, linger: 5, starts,
    rounds: Math.ceil((rounds ?? (quick ? 3 : 9)) / starts), note });
  return pairedResult(result, 'burst of 2,000', 'bare k=16', PAIRED_BARS.burst);
}

// A rate is held only with its latency: joining lets any server keep up if it may be late enough. Four servers in the same
// run: Causeway on a CPU of its own; Causeway as it would be run on a machine with two, a loop for each, where the kernel
// puts them; bare sockets that join all there is, fed by the publisher; and the limit, the same fed by Kafka.
const RATE_ENV = { ...NO_PINGS };
const RATE_SERVERS = [
  { name: 'one loop', judged: true, start: (stage) => stage.server({ env: RATE_ENV }) },
  { name: 'two loops', cpus: BOTH_CPUS, start: (stage) => stage.server({ env: RATE_ENV, cpus: BOTH_CPUS, loops: 2 }) },
  { name: 'bare, joins all', start: (stage) => stage.bare(JOIN_ALL) },
  { name: 'bare, behind Kafka', start: (stage) => stage.bare(JOIN_ALL, { kafka: true }) },
];

async function rateOf(stage, { name, cpus, start }, perSecond, { quick, note }) {
  const server = await start(stage);
  const clients = await stage.clients(server, { linger: 5, discard: true, cpus });
  touchFreeMemory();
  // Not judged: the broker's JVM compiles itself, and TCP finds its buffer sizes.
  for (let i = 0; i < 2; i++) await measure(clients, perSecond * 4, perSecond);
  const results = [];
  for (let i = 0; i < (quick ? 1 : 3); i++) {
    results.push(await measure(clients, perSecond * (quick ? 5 : 10), perSecond));
    note(`${name}, ${perSecond}/s: p99 ${(results.at(-1).latency.p99 / 1000).toFixed(1)} ms`);
  }
  await stage.stop(clients.load, clients.publisher, server);
  return results;
}

// Where the limit itself is near the bar or beyond, the machine is measured; then the bar is half as late again.
function rateVerdict(name, results, all, limit) {
  const p99 = all.p99 / 1000;
  const bar = limit === undefined ? undefined : Math.max(RATE_BAR_MS, 1.5 * limit.p99 / 1000);
  const late = Math.max(...results.map((r) => r.published.late)) / 1000;
  return { what: `${name}, to 1,000: p99${late > 5 ? ` (publisher late by ${late.toFixed(0)} ms)` : ''}`,
    bar: bar === undefined ? 'none' : `< ${bar.toFixed(0)} ms${bar > RATE_BAR_MS ? ', 1.5 times the limit here' : ''}`,
    measured: `${p99.toFixed(1)} ms (${results.map((r) => (r.latency.p99 / 1000).toFixed(1)).join(', ')})`,
    ok: bar === undefined || p99 < bar };
}

export async function rate(stage, { quick, note }) {
  const out = { rows: [], verdicts: [], detail: {} };
  for (const perSecond of quick ? [10000] : [10000, 20000]) {
    const measured = [];
    for (const how of RATE_SERVERS) measured.push([how, await rateOf(stage, how, perSecond, { quick, note })]);
    const limit = together(measured.at(-1)[1]);
    for (const [how, results] of measured) {
      const name = `${perSecond}/s, ${how.name}`;
      const all = together(results);
      out.rows.push({ name, pinned: !how.cpus, ...all });
      out.detail[name] = results;
      out.verdicts.push(rateVerdict(name, results, all, how.judged && perSecond === 10000 ? limit : undefined));
    }
  }
  return out;
}

// Holds idle connections, whose server pings them; what that takes of a core.
async function held(stage, server, count, seconds) {
  const clients = await stage.clients(server, { subscribers: count, publish: false });
  const before = cpuOf(server.pid);
  const ticks = ticksOf(OTHER_CPU);
  clients.load.say(`hold ${seconds}`);
  const hold = await clients.load.answer('hold');
  const cpu = cpuBetween(before, cpuOf(server.pid));
  const memory = memoryOf(server.pid);
  if (!hold.ok) throw new Error(`${hold.lost} of ${count} idle connections were lost`);
  if (hold.pings < count * Math.floor((seconds - 1) / IDLE_PING_SECONDS)) throw new Error(`only ${hold.pings} pings in ${seconds} s`);
  await stage.stop(clients.load, server);
  const share = cpu.seconds / hold.seconds;
  return { hold, memory, share, opened: clients.opened, connected: before,
    row: { name: `${server.name} ${count}`, serverShare: share, loadShare: hold.cpu / hold.seconds,
      otherBusy: busyBetween(ticks, ticksOf(OTHER_CPU)), threads: cpu.threads, seconds: hold.seconds } };
}

async function shareAlone(server, seconds) {
  const before = cpuOf(server.pid);
  await sleep(seconds * 1000);
  return cpuBetween(before, cpuOf(server.pid)).seconds / seconds;
}

// Memory and CPU of connections are what the process takes beyond "ready and nobody connected"; what the kernel keeps is not
// in it. Beside it, what the kernel alone takes: a loop that does nothing but write pings and read pongs.
export async function idle(stage, { quick }) {
  const count = 15000;
  const seconds = quick ? 35 : 90;
  const server = await stage.server({ fetchWait: 500 });
  const memory = memoryOf(server.pid);
  const nobody = await shareAlone(server, quick ? 10 : 30);
  const connecting = cpuOf(server.pid);
  const ours = await held(stage, server, count, seconds);
  const bare = await held(stage, await stage.bare(1, { args: ['--ping', String(IDLE_PING_SECONDS)] }), count, seconds);
  const connected = cpuBetween(connecting, ours.connected);
  const each = (ours.memory.resident - memory.resident) / count;
  const share = ours.share - nobody;
  const percent = (share) => `${(share * 100).toFixed(2)} %`;
  return {
    rows: [ours.row, bare.row],
    verdicts: [
      { what: '15,000 idle: user memory of each', bar: '<= 6.00 KiB', measured: `${(each / 1024).toFixed(2)} KiB`, ok: each <= IDLE_BAR_BYTES },
      { what: `15,000 idle, 30 s pings, ${seconds} s: share of a core`, bar: '< 1 %', measured: percent(share), ok: share < IDLE_BAR_SHARE },
      { what: '... a bare loop; Causeway with nobody connected', bar: 'none', measured: `${percent(bare.share)}; ${percent(nobody)}`, ok: true },
      { what: '15,000 connect: wall / server CPU', bar: 'none', measured: `${ours.opened.seconds.toFixed(2)} s / ${connected.seconds.toFixed(2)} s`, ok: true },
    ],
    detail: { memory, nobody, ours, bare, connected },
  };
}

/* Do two loops on two cores beat one? A burst, since only then the server needs more CPU than the one client thread that
   counts; how long until the last subscriber has its last event. Servers, client and publisher may use both cores in both
   cases: a single loop has a core for itself, the second one shares a core with the client. */
export async function loops(stage, { quick, rounds, note }) {
  const count = 4000;
  const servers = [];
  const clients = [];
  for (const n of [1, 2]) {
    servers.push(await stage.server({ cpus: BOTH_CPUS, loops: n, name: `loops-${n}`, env: NO_PINGS }));
    clients.push(await stage.clients(servers.at(-1), { linger: 5, cpus: BOTH_CPUS, discard: true }));
  }
  touchFreeMemory();
  for (const each of clients) for (let i = 0; i < 2; i++) await measure(each, count, 0);
  const results = [[], []];
  const ratios = [];
  for (let round = 0; round < (rounds ?? (quick ? 5 : 12)); round++) {
    for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) results[i].push(await measure(clients[i], count, 0));
    const [one, two] = results.map((list) => list.at(-1).seconds);
    ratios.push(one / two);
    note(`round ${round + 1}: ${(one * 1000).toFixed(0)} ms, ${(two * 1000).toFixed(0)} ms: ${ratios.at(-1).toFixed(2)}`);
  }
  await stage.stop(...clients.flatMap(({ load, publisher }) => [load, publisher]), ...servers);
  const perSecond = results.map((list) => `${(list[0].deliveries / median(list.map((r) => r.seconds)) / 1e6).toFixed(1)} M/s`);
  const ratio = median(ratios);
  return {
    rows: results.map((list, i) => ({ name: `LOOPS=${i + 1}`, pinned: false, ...together(list), ratio: i === 1 ? ratio : undefined })),
    verdicts: [{ what: `two loops against one: a burst of ${count} by the clock, ${perSecond.join(' and ')}`, bar: '> 1.00',
      measured: `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)})`, ok: ratio > 1 }],
    detail: { results, ratios },
  };
}

export const scenarios = { single, burst, rate, idle, loops };
