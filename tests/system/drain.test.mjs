// SIGTERM under load: not ready first, then everybody is told to come back, then a clean end within the deadline.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { ADMIN, BUYER, order, placeOrder } from './lib/orders.mjs';
import { sleep } from './lib/processes.mjs';

const world = await openWorld('drain');
const DEADLINE = 4;

// Publishes until told to stop.
function load() {
  const state = { running: true, last: 0 };
  state.done = (async () => {
    while (state.running) {
      await world.kafka.produce(world.topic('orders.v1'), ...Array.from({ length: 20 }, () => ({
        partition: 0, headers: { ce_type: 'order.created' }, value: order({ id: ++state.last }),
      })));
    }
  })();
  return state;
}

// What /readyz says from now until nobody answers any more: [time, status, draining].
async function watchReadiness(bridge) {
  const seen = [];
  for (;;) {
    try {
      const answer = await bridge.get('/readyz');
      seen.push({ at: performance.now(), status: answer.status, draining: JSON.parse(answer.body).draining });
    } catch {
      return seen;
    }
    await sleep(2);
  }
}

test('under load everybody gets 1012 with a time to return, nobody loses an event before it, and the exit is clean', async () => {
  const bridge = await world.serve({ DRAIN_TIMEOUT: String(DEADLINE) });
  const clients = await Promise.all(Array.from({ length: 200 }, (_, i) => connect(bridge, { user: i % 2 ? ADMIN : BUYER })));
  const publisher = load();
  await Promise.all(clients.map((client) => client.expect((m) => m.data?.id === 200)));
  const began = performance.now();
  const readiness = watchReadiness(bridge);
  bridge.child.kill('SIGTERM');
  const ends = await Promise.all(clients.map((client) => client.closing((DEADLINE + 2) * 1000)));
  const end = await bridge.ended((DEADLINE + 3) * 1000);
  const took = performance.now() - began;
  publisher.running = false;
  await publisher.done;

  assert.deepEqual([end.code, end.signal], [0, null], bridge.log().slice(-2000));
  assert.ok(took < (DEADLINE + 1) * 1000, `${took} ms`);
  for (const { code, reason } of ends) {
    assert.equal(code, 1012);
    assert.match(reason, /^restart: reconnect after \d+ ms$/);
  }
  const delays = ends.map(({ reason }) => Number(/\d+/.exec(reason)[0]));
  assert.ok(new Set(delays).size > 10, `not everybody returns at the same moment: ${[...new Set(delays)]}`);
  for (const [i, client] of clients.entries()) {
    const ids = client.of(i % 2 ? 'new-order' : 'order-created').map((m) => m.data.id);
    assert.deepEqual(ids, Array.from({ length: ids.length }, (_, k) => ids[0] + k), 'no hole before the end');
  }
  const off = (await readiness).find((r) => r.status === 503);
  assert.ok(off, 'readyz never said 503');
  assert.equal(off.draining, true);
  const firstClose = Math.min(...ends.map(({ at }) => at));
  assert.ok(off.at < firstClose + 50, `not ready ${off.at - firstClose} ms after the first close`);
});

test('a client that does not read cannot delay the end beyond the deadline', async () => {
  const bridge = await world.serve({ DRAIN_TIMEOUT: '2' });
  const stuck = await connect(bridge, { user: ADMIN });
  stuck.pause();
  for (let i = 0; i < 30; i++) await placeOrder(world, { id: i, comment: 'x'.repeat(200 << 10) });
  const began = performance.now();
  bridge.child.kill('SIGTERM');
  const end = await bridge.ended(6000);
  assert.deepEqual([end.code, end.signal], [0, null]);
  assert.ok(performance.now() - began < 3500);
  stuck.terminate();
});

test('nobody is let in while the bridge drains', async () => {
  const bridge = await world.serve({ DRAIN_TIMEOUT: '3' });
  // Does not answer the close, so that the bridge waits for it.
  const stuck = await connect(bridge, { user: ADMIN });
  stuck.pause();
  for (let i = 0; i < 30; i++) await placeOrder(world, { id: i, comment: 'x'.repeat(200 << 10) });
  bridge.child.kill('SIGTERM');
  await sleep(200);
  const answer = await attempt(bridge, { user: BUYER }).catch((error) => ({ status: error.code }));
  if (answer.client) assert.equal((await answer.client.closing()).code, 1012);
  else assert.ok(['ECONNREFUSED', 'ECONNRESET', 503].includes(answer.status), String(answer.status));
  await bridge.ended(6000);
  stuck.terminate();
});

test('an idle bridge ends at once, with SIGINT too', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const bridge = await world.serve();
    const began = performance.now();
    bridge.child.kill(signal);
    const end = await bridge.ended();
    assert.deepEqual([end.code, end.signal], [0, null]);
    assert.ok(performance.now() - began < 2500, `${performance.now() - began} ms`);
  }
});

test('the bridges ended in good health', () => world.finish());
