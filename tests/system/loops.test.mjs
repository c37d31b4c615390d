// Two loops serve as one: connections are spread over both, and everybody gets the same events in the same order.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, placeOrder } from './lib/orders.mjs';

const world = await openWorld('loops');
const bridge = await world.serve({ LOOPS: '2' });

// Times that each thread went to sleep, by thread id: a loop that serves wakes up for each event.
function wakeUps() {
  return new Map(readdirSync(`/proc/${bridge.pid}/task`).map((thread) => [thread,
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${bridge.pid}/task/${thread}/status`, 'utf8'))[1])]));
}

const threadNames = () => new Map(readdirSync(`/proc/${bridge.pid}/task`).map((thread) =>
  [thread, readFileSync(`/proc/${bridge.pid}/task/${thread}/comm`, 'utf8').trim()]));

const clients = await Promise.all(Array.from({ length: 64 }, () => connect(bridge, { user: ADMIN })));

test('everybody on both loops gets every event once and in order', async () => {
  const before = wakeUps();
  for (let id = 1; id <= 50; id++) {
    await placeOrder(world, { id });
    if (id % 10 === 0) await Promise.all(clients.map((client) => client.expect((m) => m.data?.id === id)));
  }
  for (const client of clients) {
    assert.deepEqual(client.of('new-order').map((m) => m.data.id), Array.from({ length: 50 }, (_, i) => i + 1));
  }
  const ids = clients.map((client) => client.of('new-order').map((m) => m.id).join());
  assert.equal(new Set(ids).size, 1);
  const after = wakeUps();
  const names = threadNames();
  const loops = [...names].filter(([, name]) => name.includes('loop')).map(([thread]) => thread);
  assert.equal(loops.length, 2, [...names.values()].join(' '));
  for (const thread of loops) assert.ok(after.get(thread) > before.get(thread), `${names.get(thread)} served nobody`);
});

test('rooms work on both loops', async () => {
  await Promise.all(clients.map((client) => client.ask({ type: 'leave-room', data: { roomId: 'admin-orders' } }, 'room-left')));
  await placeOrder(world, { id: 60, user_id: BUYER });
  await placeOrder(world, { id: 61, user_id: ADMIN });
  await Promise.all(clients.map((client) => client.expect((m) => m.type === 'order-created' && m.data.id === 61)));
  for (const client of clients) assert.ok(!client.of('new-order').some((m) => m.data.id >= 60));
});

test('connections that come and go while events flow lose nothing in between', async () => {
  let running = true;
  let published = 1000;
  const publisher = (async () => {
    while (running) await placeOrder(world, { id: ++published, user_id: BUYER });
  })();
  for (let round = 0; round < 5; round++) {
    const visitors = await Promise.all(Array.from({ length: 16 }, () => connect(bridge, { user: ADMIN })));
    await Promise.all(visitors.map((client) => client.expect('new-order').then(() => client.expect('new-order'))));
    for (const client of visitors) {
      const ids = client.of('new-order').map((m) => m.data.id);
      assert.deepEqual(ids, Array.from({ length: ids.length }, (_, i) => ids[0] + i));
    }
    await Promise.all(visitors.map((client, i) => (i % 2 ? client.close() : client.terminate())));
  }
  running = false;
  await publisher;
});

test('the bridge ends in good health', async () => {
  await Promise.all(clients.map((client) => client.close()));
  await world.finish();
});
