// Ten thousand clients that have nothing to say, half of them polling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { descriptors, many, sessions } from './lib/crowd.mjs';
import { Session, Wire } from './lib/engineio.mjs';
import { BUYER } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio_idle', { catalogue: seedsCatalogue() });
const EACH = 5000;

test('10,000 idle sessions, half of them polling: all stay through their pings, and all comes back', async (t) => {
  const EACH = 5000;
  const bridge = await world.serve({ PING_INTERVAL: '8', LIFE_TIMEOUT: '40' });
  const memory = bridge.residentBytes();
  const pollers = await many(EACH, async () => {
    const session = await Session.open(bridge, { user: BUYER });
    session.posts.end();
    session.hold();
    return session;
  });
  const wires = await many(EACH, async () => {
    const wire = await Wire.open(bridge);
    await wire.connect(BUYER);
    wire.socket.on('message', (data) => {
      if (data.toString() === '2') wire.send('3');
    });
    return wire;
  });
  t.diagnostic(`${((bridge.residentBytes() - memory) / 2 / EACH / 1024).toFixed(1)} KiB of memory for each, with the sanitizers of the debug build`);
  assert.equal(await bridge.metric('causeway_connections', { transport: 'socketio_polling' }), EACH);
  assert.equal(await bridge.metric('causeway_connections', { transport: 'socketio_websocket' }), EACH);
  await until('a ping for everybody', () => wires.every((wire) => wire.messages.includes('2')), { timeout: 20000, every: 100 });
  assert.ok((await Promise.all(pollers.map((session) => session.held(20000)))).every(({ body }) => body.split('\x1e').includes('2')));
  assert.equal(await sessions(bridge), 2 * EACH);
  await world.publish('tasks.v1', 'task.updated', { id: 'task-1', assigneeId: BUYER, n: 1 });
  await Promise.all([...wires.map((wire) => wire.next('42["task.updated"', 20000)), ...pollers.map((session) => session.packet('42["task.updated"'))]);
  for (const client of [...pollers, ...wires]) client.drop();
  await until('all to be gone', async () => await sessions(bridge) <= EACH, { timeout: 20000, every: 100 });
  await bridge.terminate();
});

test('finish', () => world.finish());
