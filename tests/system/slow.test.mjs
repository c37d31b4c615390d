// Readers that stop: they cost the bridge nothing, slow nobody down, and when they read on they get all of it in
// order, be it from the hot log or from Kafka.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, CEO, order } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';

const world = await openWorld('slow');
const MiB = 1 << 20;

const percentile = (values, share) => values.slice().sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

// Keeps numbers only: the events of this file are too many and too large to keep.
function track(client) {
  client.ids = [];
  client.delays = [];
  client.gaps = [];
  client.onMessage = (message) => {
    client.messages.length = 0;
    client.read = 0;
    if (message.type === 'gap') client.gaps.push({ ...message.data, after: client.ids.at(-1), position: client.ids.length });
    if (message.type !== 'new-order') return;
    client.ids.push(message.data.id);
    client.delays.push(message.at - message.data.sent);
  };
  return client;
}

async function crowd(bridge, size) {
  const clients = [];
  for (let i = 0; i < size; i += 50) {
    clients.push(...await Promise.all(Array.from({ length: Math.min(50, size - i) }, (_, k) => connect(bridge, { user: k % 2 ? ADMIN : CEO }))));
  }
  return clients.map(track);
}

// In batches that the broker takes (1 MiB).
async function publish(ids, size) {
  const batch = Math.max(1, Math.floor((512 << 10) / size));
  for (let i = 0; i < ids.length; i += batch) {
    await world.kafka.produce(world.topic('orders.v1'), ...ids.slice(i, i + batch).map((id) => ({
      partition: 0, headers: { ce_type: 'order.created' }, value: order({ id, sent: performance.now(), comment: 'x'.repeat(size) }),
    })));
  }
}

async function paced(from, count, size, everyMs) {
  for (let id = from; id < from + count; id++) {
    await publish([id], size);
    await sleep(everyMs);
  }
}

const have = (clients, id) => until(`event ${id} at ${clients.length} clients`, () => clients.every((c) => c.ids.at(-1) === id), { timeout: 60000, every: 10 });

test('200 stopped readers of 400: memory stays, the others are as fast as beside none, and nobody misses an event', async () => {
  const bridge = await world.serve({ LIFE_TIMEOUT: '600' });
  // Where nobody stops: what the machine does to one bridge at that time, it does to the other.
  const peer = await world.serve({ LIFE_TIMEOUT: '600' });
  const clients = await crowd(bridge, 400);
  const [stopped, reading] = [clients.slice(0, 200), clients.slice(200)];
  const peers = await crowd(peer, 200);
  const SIZE = 4096;
  const p99 = (list) => percentile(list.flatMap((c) => c.delays), 0.99);

  await paced(1, 100, SIZE, 10);
  await have([...clients, ...peers], 100);

  for (const client of stopped) client.pause();
  // First what the kernels on both sides take; from then on the sockets of the stopped are full.
  await publish(Array.from({ length: 300 }, (_, i) => 101 + i), SIZE);
  await have([...reading, ...peers], 400);
  const before = bridge.residentBytes();
  await publish(Array.from({ length: 700 }, (_, i) => 401 + i), SIZE);
  await have([...reading, ...peers], 1100);
  for (const client of [...clients, ...peers]) client.delays.length = 0;
  await paced(1101, 100, SIZE, 10);
  await have([...reading, ...peers], 1200);
  const [beside, usual] = [p99(reading), p99(peers)];
  const grown = bridge.residentBytes() - before;

  assert.ok(stopped.every((c) => c.ids.length < 1100), 'the stopped did stop');
  assert.ok((await bridge.metric('causeway_sessions_behind')) >= 200);
  // A queue per session would hold 200 x 3 MiB; the log holds each event once.
  assert.ok(grown < 48 * MiB, `memory grew by ${(grown / MiB).toFixed(1)} MiB`);
  assert.ok(beside < 2 * usual + 50, `p99 ${beside.toFixed(1)} ms beside stopped readers, ${usual.toFixed(1)} ms beside none at the same time`);
  assert.ok([...clients, ...peers].every((c) => !c.end), 'a slow reader is not cut');

  for (const client of stopped) client.resume();
  await have(stopped, 1200);
  const all = Array.from({ length: 1200 }, (_, i) => i + 1).join();
  for (const client of clients) {
    assert.equal(client.ids.join(), all);
    assert.deepEqual(client.gaps, []);
  }
  await until('nobody to be behind', async () => (await bridge.metric('causeway_sessions_behind')) === 0);
  for (const client of [...clients, ...peers]) client.terminate();
});

test('what the hot log no longer has is read from Kafka: 200 stopped readers get every event, in order', async () => {
  const bridge = await world.serve({
    HOT_LOG_BYTES: '1MiB', CATCH_UP_BYTES: '1MiB', EVENT_MAX_BYTES: '128KiB', SOCKET_SEND_BUFFER: '16KiB', LIFE_TIMEOUT: '600',
  });
  const clients = await crowd(bridge, 202);
  const [stopped, reading] = [clients.slice(0, 200), clients.slice(200)];
  const SIZE = 4096;
  const LAST = 1200;
  await publish([1], 100);
  await have(clients, 1);
  for (const client of stopped) client.pause();
  // In steps that the readers beside follow, so that only the stopped ones fall out of the log.
  for (let id = 2; id < LAST; id += 40) {
    const ids = Array.from({ length: Math.min(40, LAST - id) }, (_, i) => id + i);
    await publish(ids, SIZE);
    await have(reading, ids.at(-1));
  }
  await publish([LAST], 100);
  await have(reading, LAST);
  assert.ok(stopped.every((c) => c.ids.length < LAST / 2), 'the stopped did stop');
  const before = await bridge.metric('causeway_replay_records_total');

  for (const client of stopped) client.resume();
  await have(stopped, LAST);
  const all = Array.from({ length: LAST }, (_, i) => i + 1).join();
  for (const client of clients) {
    assert.equal(client.ids.join(), all);
    assert.deepEqual(client.gaps, []);
  }
  // They share sweeps: a read of its own for each of them would be 200 times what was missed.
  const read = (await bridge.metric('causeway_replay_records_total')) - before;
  assert.ok(read > 0 && read < 40 * LAST, `${read} records were read again`);
  await until('nobody to be behind', async () => (await bridge.metric('causeway_sessions_behind')) === 0);
  for (const client of clients) client.terminate();
});

test('a reader that stopped and then leaves is forgotten', async () => {
  const bridge = await world.serve({ LIFE_TIMEOUT: '600' });
  const stopped = await crowd(bridge, 20);
  for (const client of stopped) client.pause();
  await publish(Array.from({ length: 500 }, (_, i) => i + 1), 4096);
  await until('the stopped to be behind', async () => (await bridge.metric('causeway_sessions_behind')) > 0);
  for (const client of stopped) client.terminate();
  await until('no session', async () => (await bridge.metric('causeway_connections')) === 0 && (await bridge.metric('causeway_sessions_behind')) === 0);
});

test('the bridges end in good health', () => world.finish());
