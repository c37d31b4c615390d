// Thousands that are cut at once and come back with what they saw last: one storm, measured.
import { readFileSync, writeFileSync } from 'node:fs';
import WebSocket from 'ws';
import { until } from '../../tests/system/lib/processes.mjs';
import { cpuBetween, cpuOf, memoryOf } from './cpu.mjs';

export const CLIENTS = 5000;
const EVENT_BYTES = 400; // of a frame around 200 bytes of payload, cursor included; rounded up
const LEAST_LOG = 64 * 1024;

export async function metric(server, name) {
  const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const reach = (server, name, value) =>
  until(`${name} to be ${value}`, async () => (await metric(server, name)) === value, { timeout: 60000, every: 20 });

// What a client that connects now gets as its cursor.
function cursorOfNow(server) {
  return new Promise((done, failed) => {
    const socket = new WebSocket(server.url, { perMessageDeflate: false });
    socket.once('error', failed);
    socket.once('message', (data) => {
      done(JSON.parse(data).cursor);
      socket.terminate();
    });
  });
}

async function publish(publisher, round, count) {
  publisher.say(`run ${round} ${count} 0`);
  const published = await publisher.answer('published');
  if (!published.ok) throw new Error(`events were not published; see ${publisher.log}`);
}

// The kernel's high-water mark of a process, from now on.
const watchPeak = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, '5');
const peakOf = (pid) => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

/* Settings with which a backlog of this many events is in the hot log as a whole, or only its last tenth. */
export const settingsFor = (events, windows) => (windows
  ? { HOT_LOG_BYTES: String(Math.max(LEAST_LOG, Math.round((events * EVENT_BYTES) / 10))), EVENT_MAX_BYTES: '8192' }
  : {});

/* Events that concern nobody, so that a hot log that cannot be a tenth of so small a backlog holds none of it. */
export const fillerFor = (events, windows) => (windows && events * EVENT_BYTES < 10 * LEAST_LOG ? 400 : 0);

/* As long as `beside` goes on, all are cut and come back for the same `events`, again and again. Returns how often. */
export async function trickle(side, { events, windows = false, pauseMs, beside }) {
  const { server, load, publisher } = side;
  const round = ++side.round;
  if (!side.cursor) {
    const before = await metric(server, 'causeway_hotlog_entries_total');
    side.cursor = await cursorOfNow(server);
    side.published = round;
    load.say('drop');
    await load.answer('dropped');
    await publish(publisher, round, events);
    const filler = fillerFor(events, windows);
    if (filler > 0) await publish(side.filler, round, filler);
    await until('the backlog to be read', async () => (await metric(server, 'causeway_hotlog_entries_total')) >= before + events + filler, { timeout: 60000, every: 20 });
  }
  let over = false;
  const watched = beside().finally(() => { over = true; });
  let count = 0;
  for (; !over; count++) {
    load.say('drop');
    await load.answer('dropped');
    load.say(`storm ${side.published} ${events} 60000 ${new URL(server.url).pathname}${new URL(server.url).search}&cursor=${side.cursor}`);
    await load.answer('armed');
    await load.answer('complete');
    const result = await load.answer('round');
    if (!result.ok) throw new Error(`not everybody who came back got its ${events} events: ${JSON.stringify(result)}`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
  await watched;
  return count;
}

/* Cuts all, publishes `events`, and lets them come back. `during` runs beside the storm, between armed and complete. */
export async function storm(side, { events, windows = false, during = async () => {} }) {
  const { server, load, publisher } = side;
  const round = ++side.round;
  const own = server.pid !== undefined && server.source[0] === '--brokers';
  const cursor = own ? await cursorOfNow(server) : '';
  const connected = memoryOf(server.pid);
  load.say('drop');
  await load.answer('dropped');
  let filler = 0;
  if (own) {
    await reach(server, 'causeway_connections', side.beside ?? 0);
    const before = await metric(server, 'causeway_hotlog_entries_total');
    await publish(publisher, round, events);
    filler = fillerFor(events, windows);
    if (filler > 0) await publish(side.filler, round, filler);
    await reach(server, 'causeway_hotlog_entries_total', before + events + filler);
  } else {
    await publish(publisher, round, events);
  }
  const counts = async () => (own ? Promise.all(['causeway_replay_records_total', 'causeway_database_queries_total'].map((name) => metric(server, name))) : [0, 0]);
  const [records, queries] = await counts();
  const settled = memoryOf(server.pid);
  watchPeak(server.pid);
  load.say(`storm ${round} ${events} 180000 ${new URL(server.url).pathname}${new URL(server.url).search}${own ? `&cursor=${cursor}` : ''}`);
  const cpu = cpuOf(server.pid);
  await load.answer('armed');
  const beside = during();
  await load.answer('complete');
  const spent = cpuBetween(cpu, cpuOf(server.pid));
  const peak = peakOf(server.pid);
  const result = await load.answer('round');
  await beside;
  const [recordsAfter, queriesAfter] = await counts();
  if (!result.ok) {
    const { least, most, disorder, lost } = result;
    throw new Error(`${server.name}: not everybody got exactly its ${events} events in order: least ${least}, most ${most}, ` +
      `out of order ${disorder}, connections lost ${lost}\n${readFileSync(load.log, 'utf8').slice(-1000)}`);
  }
  return {
    ...result,
    serverCpu: spent.seconds,
    threads: spent.threads,
    backlog: events + filler,
    records: recordsAfter - records,
    queries: queriesAfter - queries,
    grown: peak - Math.max(connected.resident, settled.resident),
  };
}
