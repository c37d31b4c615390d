// Causeway beside the reference server: what clients of Socket.IO cost either.
import { join } from 'node:path';
import { root, sleep, until } from '../../tests/system/lib/processes.mjs';
import { cpuBetween, cpuOf, memoryOf } from './cpu.mjs';
import { median } from './measure.mjs';
import { touchFreeMemory } from './memory.mjs';
import { paired } from './paired.mjs';
import { NO_PINGS, pairedResult } from './scenarios.mjs';
import { metric } from './storm.mjs';

const REFERENCE = 'socket.io';
const BARS = { single: 1.6, burst: 10 };
const MEMORY_BAR = 0.5;
const SETTLE_MS = 2000;

const servers = (stage) => ({ yard: () => stage.reference(), own: () => stage.socketio({ env: NO_PINGS }) });
const starters = (stage) => Object.entries({ [REFERENCE]: servers(stage).yard, causeway: servers(stage).own });
const client = (stage, server) => stage.talk(process.execPath,
  [join(root, 'bench/lib/sio_client.mjs'), `http://127.0.0.1:${server.port}`, stage.token], { name: `client-${server.name}` });

export async function single(stage, { quick, rounds, note }) {
  const starts = quick ? 1 : 2;
  const result = await paired(stage, { ...servers(stage), count: 180, rate: 60, warm: 60, linger: 0, starts,
    rounds: Math.ceil((rounds ?? (quick ? 2 : 6)) / starts), note });
  return pairedResult(result, 'single events, 60/s', REFERENCE, BARS.single);
}

export async function burst(stage, { quick, rounds, note }) {
  const starts = quick ? 1 : 2;
  const result = await paired(stage, { ...servers(stage), count: 1000, rate: 0, warm: 1000, linger: 5, starts,
    rounds: Math.ceil((rounds ?? (quick ? 2 : 4)) / starts), note });
  return pairedResult(result, 'burst of 1,000', REFERENCE, BARS.burst);
}

async function connections(server) {
  if (server.name !== REFERENCE) return metric(server, 'causeway_connections');
  server.say('gc');
  return (await server.answer('gc')).connections;
}

/* Resident memory, once so many are connected and nothing more happens. */
async function settled(server, count) {
  await until(`${count} connections of ${server.name}`, async () => await connections(server) === count, { timeout: 30000, every: 100 });
  await sleep(SETTLE_MS);
  await connections(server); // and with it what was garbage
  return memoryOf(server.pid).resident;
}

const HOLDERS = {
  async websocket(stage, server, count) {
    const { load } = await stage.clients(server, { subscribers: count, publish: false });
    return load;
  },
  async polling(stage, server, count) {
    const pollers = client(stage, server);
    pollers.say(`poll ${count}`);
    await pollers.answer('polling');
    return pollers;
  },
};

// In a process of its own for each number, since what was once used is not given back.
async function memoryOfEach(stage, start, transport, count) {
  const server = await start();
  const before = await settled(server, 0);
  const held = await HOLDERS[transport](stage, server, count);
  const each = (await settled(server, count) - before) / count;
  await stage.stop(held, server);
  return each;
}

export async function idle(stage, { quick, note }) {
  const count = quick ? 2000 : 10000;
  const detail = {};
  for (const transport of Object.keys(HOLDERS)) {
    detail[transport] = {};
    for (const [name, start] of starters(stage)) {
      detail[transport][name] = await memoryOfEach(stage, start, transport, count);
      note(`${transport}, ${name}: ${(detail[transport][name] / 1024).toFixed(2)} KiB`);
    }
  }
  return { rows: [], detail, verdicts: Object.entries(detail).map(([transport, each]) => {
    const ratio = each.causeway / each[REFERENCE];
    return { what: `${count} idle, ${transport}: memory of each`, bar: transport === 'websocket' ? `<= ${MEMORY_BAR}` : 'none', ok: ratio <= MEMORY_BAR,
      measured: `${ratio.toFixed(2)} (${(each.causeway / 1024).toFixed(1)} KiB, ${REFERENCE} ${(each[REFERENCE] / 1024).toFixed(1)} KiB)` };
  }) };
}

/* The official client with its default options, one at a time. Causeway judges a token and looks up the user, the other does not. */
export async function connect(stage, { quick, note }) {
  const detail = {};
  for (const [name, start] of starters(stage)) {
    const server = await start();
    const dancer = client(stage, server);
    for (const count of [50, quick ? 100 : 500]) { // the first is to warm up
      dancer.say(`dance ${count}`);
      detail[name] = await dancer.answer('danced');
    }
    note(`${name}: ${JSON.stringify(detail[name])}`);
    await stage.stop(dancer, server);
  }
  const text = (name, what) => `${detail[name][what].p50.toFixed(1)} / ${detail[name][what].p99.toFixed(1)} ms`;
  return { rows: [], detail, verdicts: ['connected', 'upgraded'].map((what) => ({ what: `${what}, by default options: p50 / p99`, bar: 'none',
    measured: `${text('causeway', what)}, ${REFERENCE} ${text(REFERENCE, what)}` })) };
}

/* All are cut, and come back by WebSocket, 256 at a time. */
async function comeBack(server, load) {
  load.say('drop');
  await load.answer('dropped');
  await until(`no connections of ${server.name}`, async () => await connections(server) === 0, { timeout: 30000, every: 50 });
  const cpu = cpuOf(server.pid);
  load.say('again');
  const { seconds, lost } = await load.answer('open');
  if (lost > 0) throw new Error(`${server.name}: ${lost} connections lost`);
  return { seconds, cpu: cpuBetween(cpu, cpuOf(server.pid)).seconds };
}

export async function reconnects(stage, { quick, note }) {
  const count = 10000;
  const detail = {};
  for (const [name, start] of starters(stage)) {
    const server = await start();
    const { load } = await stage.clients(server, { subscribers: count, publish: false });
    touchFreeMemory();
    const rounds = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) rounds.push(await comeBack(server, load));
    detail[name] = { seconds: median(rounds.map((r) => r.seconds)), cpu: median(rounds.map((r) => r.cpu)) };
    note(`${name}: ${JSON.stringify(detail[name])}`);
    await stage.stop(load, server);
  }
  const text = (name) => `${detail[name].seconds.toFixed(2)} s / ${detail[name].cpu.toFixed(2)} s`;
  return { rows: [], detail, verdicts: [{ what: `${count} reconnect by WebSocket: wall / server CPU`, bar: 'none',
    measured: `${text('causeway')}, ${REFERENCE} ${text(REFERENCE)}` }] };
}

export const scenarios = { single, burst, idle, connect, reconnects };
