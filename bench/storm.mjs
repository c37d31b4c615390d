// ./dev bench storm: 5,000 clients are cut at once and come back, each for the same 200, 1,000 and 10,000 events: from the
// hot log, and with the hot log limited to a tenth of that, so that windows into Kafka's past do the work. Beside them live
// sessions go on. A storm counts only if every client got exactly its events, in order.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDir } from '../tests/system/lib/processes.mjs';
import { touchFreeMemory } from './lib/memory.mjs';
import { printTable, printVerdicts } from './lib/report.mjs';
import { Stage } from './lib/stage.mjs';
import { CLIENTS, settingsFor, storm, trickle } from './lib/storm.mjs';

const USAGE = `Usage: ./dev bench storm [--only LIST] [--events LIST] [--broker kafka|embedded] [--bin DIR]

  --only      a comma list of: hot, windows, steady
  --events    missed by each client (200,1000,10000)
`;
const CPU_BAR = 0.5;
const LIVE_BAR_MS = 25;
const GROWTH_BAR = 48 * 2 ** 20;
const LIVE = { subscribers: 200, rate: 200 };
// A few that come back all the time, beside the live ones; taken in turns with nobody, so that both see the same machine.
const STEADY = { clients: 10, events: 1000, pauseMs: 100, turns: 4, seconds: 4, bar: 1.2 };

function options() {
  const { values } = parseArgs({ options: { only: { type: 'string' }, events: { type: 'string' }, broker: { type: 'string' },
    bin: { type: 'string' }, help: { type: 'boolean' } } });
  const modes = values.only?.split(',') ?? ['hot', 'windows', 'steady'];
  const wrong = modes.find((mode) => !['hot', 'windows', 'steady'].includes(mode));
  if (values.help || wrong) {
    process.stdout.write(USAGE);
    process.exit(wrong ? 2 : 0);
  }
  return { modes, events: (values.events ?? '200,1000,10000').split(',').map(Number), broker: values.broker,
    bin: values.bin ?? join(buildDir, 'release') };
}

const note = (text) => process.stderr.write(`storm: ${text}\n`);
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const ms = (us) => (us / 1000).toFixed(1);

// The yardstick: a loop without users, rooms or positions that gives everybody who connects the same frames.
async function bare(stage, events) {
  const server = await stage.bare(16, { args: ['--replay', '1', '--send-buffer', '131072'] });
  const side = await stage.clients(server, { subscribers: CLIENTS, sample: 1000 });
  touchFreeMemory();
  const result = await storm(side, { events });
  await stage.stop(side.load, side.publisher, server);
  return result;
}

async function liveSide(stage, server) {
  const url = server.url.replace(stage.token, stage.makeToken('2'));
  const side = await stage.clients({ ...server, name: 'live', url, source: [...server.sources[1], '--type', 'bench.live'] },
    { subscribers: LIVE.subscribers, sample: 1, nice: 0 });
  side.measure = async (seconds) => {
    const round = ++side.round;
    const count = Math.max(40, Math.round(LIVE.rate * seconds));
    side.load.say(`round ${round} ${count} ${60000 + seconds * 1000}`);
    await side.load.answer('armed');
    side.publisher.say(`run ${round} ${count} ${LIVE.rate}`);
    await side.load.answer('complete');
    const result = await side.load.answer('round');
    await side.publisher.answer('published');
    if (!result.ok) throw new Error(`a live session did not get exactly its events: ${JSON.stringify(result)}`);
    return result.latency;
  };
  return side;
}

async function causeway(stage, events, windows) {
  const server = await stage.server({ document: 'storm.yaml', env: settingsFor(events, windows) });
  const side = await stage.clients(server, { subscribers: CLIENTS, sample: 1000, linger: 5 });
  side.filler = stage.talk('bench_publish', [...server.sources[1], '--type', 'bench.live'], { name: 'filler' });
  touchFreeMemory();
  const alone = await storm(side, { events, windows });
  const live = await liveSide(stage, server);
  side.beside = LIVE.subscribers;
  await live.measure(2);
  const quiet = await live.measure(3);
  let busy;
  const together = await storm(side, { events, windows, during: async () => { busy = await live.measure(alone.seconds); } });
  await stage.stop(live.load, live.publisher, side.load, side.publisher, side.filler, server);
  return { alone, together, quiet, busy };
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

async function steady(stage, windows) {
  const { clients, events, pauseMs, turns, seconds } = STEADY;
  const server = await stage.server({ document: 'storm.yaml', env: settingsFor(events, windows) });
  const side = await stage.clients(server, { subscribers: clients, sample: 1000, linger: 5 });
  side.filler = stage.talk('bench_publish', [...server.sources[1], '--type', 'bench.live'], { name: 'filler' });
  const live = await liveSide(stage, server);
  await live.measure(2);
  const quiet = [];
  const busy = [];
  let replayed = 0;
  for (let turn = 0; turn < turns; turn++) {
    quiet.push((await live.measure(seconds)).p99);
    replayed += clients * events * await trickle(side, { events, windows, pauseMs, beside: async () => { busy.push((await live.measure(seconds)).p99); } });
  }
  await stage.stop(live.load, live.publisher, side.load, side.publisher, side.filler, server);
  return { quiet, busy, perSecond: replayed / (turns * seconds) };
}

function judgeSteady(name, { quiet, busy, perSecond }) {
  const ratio = median(busy) / median(quiet);
  return { what: `${name}: live p99 beside it`, bar: `<= ${STEADY.bar} x`, ok: ratio <= STEADY.bar,
    measured: `${ratio.toFixed(2)} (${quiet.map(ms).join(' ')} to ${busy.map(ms).join(' ')} ms) at ${(perSecond / 1000).toFixed(0)} k replayed/s` };
}

function judge(name, events, { alone, together, quiet, busy }, yard, windows) {
  const delayed = (busy.p99 - quiet.p99) / 1000;
  const ratio = alone.serverCpu / yard.serverCpu;
  const grown = Math.max(alone.grown, together.grown);
  return [
    ...(windows ? [] : [{ what: `${name}: server CPU against bare k=16`, bar: `<= ${CPU_BAR}`, ok: ratio <= CPU_BAR,
      measured: `${ratio.toFixed(2)} (${alone.serverCpu.toFixed(2)} s, bare ${yard.serverCpu.toFixed(2)} s)` }]),
    { what: `${name}: live p99 beside it`, bar: `<= +${LIVE_BAR_MS} ms`, ok: delayed <= LIVE_BAR_MS,
      measured: `+${delayed.toFixed(1)} ms (${ms(quiet.p99)} to ${ms(busy.p99)}, max ${ms(busy.max)})` },
    { what: `${name}: records read again`, bar: `<= 2 x ${alone.backlog}`, ok: Math.max(alone.records, together.records) <= 2 * alone.backlog,
      measured: `${alone.records}, ${together.records}` },
    { what: `${name}: lookups for one right`, bar: '<= 1', ok: alone.queries <= 1, measured: `${alone.queries}, ${together.queries}` },
    { what: `${name}: memory`, bar: `<= +${mib(GROWTH_BAR)}`, ok: grown <= GROWTH_BAR, measured: `+${mib(grown)}` },
  ];
}

async function main() {
  const { modes, events, ...settings } = options();
  const stage = new Stage(settings);
  const stopped = (signal) => process.exit(signal === 'SIGINT' ? 130 : 143);
  process.once('SIGINT', stopped).once('SIGTERM', stopped);
  const lines = [];
  const verdicts = [];
  const results = {};
  try {
    await stage.start();
    for (const windows of modes.includes('steady') ? [false, true] : []) {
      const name = `steady replay, ${windows ? 'windows' : 'hot'}`;
      results[name] = await steady(stage, windows);
      verdicts.push(judgeSteady(name, results[name]));
    }
    for (const count of modes.some((mode) => mode !== 'steady') ? events : []) {
      const yard = await bare(stage, count);
      const line = (name, r) => lines.push([name, r.seconds.toFixed(2), r.serverCpu.toFixed(2), r.cpu.toFixed(2),
        (r.deliveries / r.serverCpu / 1e6).toFixed(1), mib(r.grown), r.records, r.queries]);
      line(`${count} missed, bare k=16`, yard);
      for (const mode of modes.filter((one) => one !== 'steady')) {
        const name = `${count} missed, ${mode}`;
        const result = await causeway(stage, count, mode === 'windows');
        results[name] = result;
        line(name, result.alone);
        line(`${name}, live beside`, result.together);
        verdicts.push(...judge(name, count, result, yard, mode === 'windows'));
        note(`${name}: ${result.alone.seconds.toFixed(2)} s, by thread ${result.alone.threads.slice(0, 4).map(([t, s]) => `${t} ${s.toFixed(2)}`).join(', ')}`);
      }
    }
  } finally {
    await stage.close();
  }
  if (lines.length > 0) console.log(`\n${CLIENTS} clients come back at once`);
  if (lines.length > 0) printTable(['', 'wall s', 'server CPU s', 'client CPU s', 'M deliveries/cpu-s', 'memory', 'records', 'lookups'], lines);
  writeFileSync(join(buildDir, 'bench/storm.json'), JSON.stringify(results, null, 1));
  process.exitCode = printVerdicts(verdicts) === 0 ? 0 : 1;
}

await main();
