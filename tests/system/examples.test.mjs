// `serve --replay-examples`: a server from the document alone, for those who write clients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { openWorld, runCauseway } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('examples');
// Nobody answers at these addresses.
const settings = { KAFKA_BROKERS: '127.0.0.1:1', DATABASE_URL: 'postgresql://127.0.0.1:1/nothing', JWT_SECRET: undefined };
const bridge = await world.serve(settings, { args: ['--replay-examples=1'] });

// As `causeway serve --help` says it.
async function tokenOf(user, claims = {}) {
  const end = await runCauseway(['token', '--dev', '--set', 'JWT_SECRET=development', '--user', String(user), '--claims', JSON.stringify(claims)]);
  assert.equal(end.code, 0, end.stderr);
  return end.stdout.trim();
}

const types = (client) => new Set(client.messages.filter((m) => m.id).map((m) => m.type));
const rounds = (client, type, count) => until(`${count} of ${type}`, () => client.of(type).length >= count);

test('everybody gets the examples that the claims of the token allow, again and again', async () => {
  const admin = await connect(bridge, { token: await tokenOf(1, { role: 'admin' }) });
  const buyer = await connect(bridge, { token: await tokenOf(123) });
  assert.equal(admin.welcome.data.role, 'admin');
  await rounds(admin, 'new-order', 4); // two examples
  await rounds(buyer, 'order-created', 2);
  await rounds(buyer, 'bonus-updated', 2);
  assert.deepEqual([...new Set(admin.of('new-order').map((m) => m.data.id))].sort(), [456, 457]);
  assert.deepEqual([...new Set(buyer.of('order-created').map((m) => m.data.id))], [456]);
  assert.equal(new Set(admin.of('new-order').map((m) => m.id)).size, admin.of('new-order').length, 'each time another event');
  for (const type of ['new-order', 'sync-success']) assert.ok(!types(buyer).has(type), type);
  assert.ok(!types(admin).has('bonus-updated'));
  await Promise.all([admin.close(), buyer.close()]);
});

test('rooms that the examples name can be joined, others not; a manager has the cities of the examples', async () => {
  const manager = await connect(bridge, { token: await tokenOf(3, { role: 'manager' }) });
  await rounds(manager, 'new-order', 2);
  const known = await manager.ask({ type: 'subscribe.task', data: { taskId: 'task-123' } }, (m) => ['room-joined', 'error'].includes(m.type));
  const unknown = await manager.ask({ type: 'subscribe.task', data: { taskId: 'no-such-task' } }, 'error');
  assert.equal(known.type, 'room-joined', JSON.stringify(known));
  assert.equal(unknown.data.code, 'forbidden');
  await rounds(manager, 'task.updated', 1);
  await manager.close();
});

test('the posts snippet of a browser and the stock Socket.IO client work unchanged; a cursor resumes', async () => {
  const token = await tokenOf(123);
  const socket = new WebSocket(`ws://localhost:${bridge.port}/post/feed/posted`, { headers: { Authorization: `Bearer ${token}` } });
  const posts = [];
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'post') posts.push(message.payload);
  });
  await until('a post', () => posts.length > 0);
  assert.ok(posts[0].postId && posts[0].postText && posts[0].author_user_id);
  socket.terminate();

  const stock = io(`http://localhost:${bridge.port}`, { auth: { token: await tokenOf(1, { role: 'admin' }) }, forceNew: true });
  const order = await new Promise((done) => { stock.once('new-order', done); });
  assert.ok([456, 457].includes(order.id));
  stock.close();

  const before = await connect(bridge, { token });
  const { cursor } = await before.expect((m) => m.type === 'order-created' && m.cursor);
  before.terminate();
  const after = await connect(bridge, { token, query: { cursor } });
  await after.expect('resumed');
  assert.deepEqual(after.of('gap'), []);
  await after.close();
});

test('a token of another secret is refused, and readiness says what this is', async () => {
  assert.equal((await attempt(bridge, { user: 123 })).status, 401);
  const { status, examples } = await bridge.readyz();
  assert.deepEqual({ status, examples }, { status: 200, examples: true });
});

test('the bridges end in good health', () => world.finish());
