// Socket.IO as its users know it: the official client, unmodified, with its default options.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { openWorld, token } from './lib/bridge.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';
import { ADMIN, BUYER } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('socketio', { catalogue: seedsCatalogue() });
const bridge = await world.serve();

const once = (socket, event, timeout = 8000) => new Promise((done, failed) => {
  const timer = setTimeout(() => failed(new Error(`no ${event}`)), timeout);
  socket.once(event, (...args) => {
    clearTimeout(timer);
    done(args);
  });
});

test('the seed connects unchanged, upgrades, and gets its events', async () => {
  const socket = io(`ws://localhost:${bridge.port}`, { auth: { token: token({ userId: BUYER }) } });
  await once(socket, 'connect');
  await until('the upgrade', () => socket.io.engine.transport.name === 'websocket');
  const event = once(socket, 'task.updated');
  await world.publish('tasks.v1', 'task.updated', { id: 'task-123', assigneeId: BUYER, title: 'Paint it' });
  assert.deepEqual(await event, [{ id: 'task-123', assigneeId: BUYER, title: 'Paint it' }]);
  socket.close();
});

test('finish', () => world.finish());
