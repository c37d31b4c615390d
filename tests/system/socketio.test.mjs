// Socket.IO as its users know it: the official client, unmodified, with its default options and with others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { openWorld, token } from './lib/bridge.mjs';
import { BUYER, OTHER_BUYER } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio', { catalogue: seedsCatalogue() });
const bridge = await world.serve();
const auth = (user = BUYER) => ({ token: token({ userId: user }) });
const open = (path = '', options = {}) => io(`ws://localhost:${bridge.port}${path}`, { auth: auth(), forceNew: true, ...options });

const once = (socket, event, timeout = 8000) => new Promise((done, failed) => {
  const timer = setTimeout(() => failed(new Error(`no ${event}`)), timeout);
  socket.once(event, (...args) => {
    clearTimeout(timer);
    done(args);
  });
});

const onWebSocket = (socket) => until('the upgrade', () => socket.io.engine?.transport.name === 'websocket', { every: 5 });
const task = (fields = {}) => world.publish('tasks.v1', 'task.updated', { id: 'task-123', assigneeId: BUYER, ...fields });

test('the seed connects unchanged, upgrades, and gets its events', async () => {
  const socket = io(`ws://localhost:${bridge.port}`, { auth: { token: token({ userId: BUYER }) } });
  await once(socket, 'connect');
  await onWebSocket(socket);
  const event = once(socket, 'task.updated');
  await task({ title: 'Paint it' });
  assert.deepEqual(await event, [{ id: 'task-123', assigneeId: BUYER, title: 'Paint it' }]);
  socket.close();
});

for (const [what, options, transport] of [['polling only', { transports: ['polling'] }, 'polling'], ['WebSocket only', { transports: ['websocket'] }, 'websocket'],
  ['a remembered upgrade', { rememberUpgrade: true }, 'websocket'], ['base64 and timestamps', { forceBase64: true, timestampRequests: true, query: { x: 1, y: 'é' } }, 'websocket']]) {
  test(`${what}: events, acknowledgements and a namespace`, async () => {
    const [root, chat] = [open('', options), open('/chat', options)];
    await Promise.all([root, chat].map((socket) => once(socket, 'connect')));
    const [event, message] = [once(root, 'task.updated'), once(chat, 'newMessage')];
    await task({ n: 1 });
    await world.publish('chat.v1', 'message.sent', { participantIds: [BUYER], text: 'hello' });
    assert.equal((await event)[0].n, 1);
    assert.equal((await message)[0].text, 'hello');
    assert.deepEqual(await root.emitWithAck('subscribe.task', { taskId: 'a' }), { ok: true, roomId: 'task:a' });
    assert.equal((await chat.emitWithAck('subscribe.task', { taskId: 'a' })).error.code, 'unknown_event');
    await until('its transport', () => root.io.engine.transport.name === transport);
    root.close();
    chat.close();
  });
}

test('namespaces share one connection, and one may be left without the other', async () => {
  const root = open();
  const chat = root.io.socket('/chat', { auth: auth() });
  chat.connect();
  await Promise.all([once(root, 'connect'), once(chat, 'connect')]);
  assert.equal(chat.io.engine.id, root.io.engine.id);
  chat.disconnect();
  assert.deepEqual(await root.emitWithAck('ping'), { ok: true });
  chat.connect();
  await once(chat, 'connect');
  root.close();
  chat.close();
});

test('1,000 commands from the first moment on are each acknowledged once, in order, across the upgrade', async () => {
  const socket = open();
  const answered = [];
  let sent = 0;
  while (sent < 1000) {
    const id = sent++;
    socket.emit('ping', (answer) => answered.push([id, answer.ok]));
    if (sent % 10 === 0) await new Promise((done) => setTimeout(done, 1));
  }
  await onWebSocket(socket);
  await until('all of them', () => answered.length >= 1000);
  assert.deepEqual(answered, Array.from({ length: 1000 }, (_, id) => [id, true]));
  socket.close();
});

test('1,000 events that are published during connect and upgrade come in order, none is lost or doubled', async () => {
  const socket = open();
  const got = [];
  socket.on('task.updated', ({ n }) => got.push(n));
  await once(socket, 'connect');
  for (let n = 0; n < 1000; n += 50) {
    await world.kafka.produce(world.topic('tasks.v1'), ...Array.from({ length: 50 }, (_, i) => ({
      partition: 0, key: 'k', value: { id: 'task-1', assigneeId: BUYER, n: n + i }, headers: { ce_type: 'task.updated' } })));
  }
  await onWebSocket(socket);
  await until('all of them', () => got.length >= 1000);
  assert.deepEqual(got, Array.from({ length: 1000 }, (_, n) => n));
  socket.close();
});

for (const transports of [['polling', 'websocket'], ['polling'], ['websocket']]) {
  test(`a bad token is final, and with a good one the same socket connects (${transports.join(', ')})`, async () => {
    const socket = open('', { auth: { token: 'nonsense' }, transports });
    const [error] = await once(socket, 'connect_error');
    assert.equal(error.message, 'Authentication failed');
    assert.equal(error.data.code, 'unauthorized');
    assert.equal(socket.active, false, 'it would come back by itself');
    socket.auth = auth();
    socket.connect();
    await once(socket, 'connect');
    socket.close();
  });
}

for (const [what, credential, message] of [
  ['without a token', {}, 'Authentication failed'],
  ['of a user who is not there', { token: token({ userId: 987654 }) }, 'User not found'],
  ['that has expired', { token: token({ userId: BUYER, exp: 1000 }) }, 'Authentication failed']]) {
  test(`a CONNECT ${what} gets connect_error, and the other namespace is not touched`, async () => {
    const root = open();
    const chat = root.io.socket('/chat', { auth: credential });
    chat.connect();
    const [error] = await once(chat, 'connect_error');
    assert.equal(error.message, message);
    assert.ok(error.data.message.length > 0);
    assert.deepEqual(await root.emitWithAck('ping'), { ok: true });
    root.close();
  });
}

for (const transports of [['polling'], ['websocket']]) {
  test(`a user who is deleted hears why, is disconnected, and is not let in again (${transports[0]})`, async () => {
    await world.sql("INSERT INTO users (id, name, role) VALUES ('777', 'Zoe', 'buyer')");
    const socket = open('', { auth: { token: token({ sub: '777' }) }, transports, reconnectionDelay: 10 });
    await once(socket, 'connect');
    const heard = [];
    socket.on('error', (error) => heard.push(error));
    socket.on('disconnect', (reason) => heard.push(reason));
    const refused = once(socket, 'connect_error');
    await world.sql("DELETE FROM users WHERE id = '777'");
    await world.sql("NOTIFY causeway_grants, 'user:777'");
    assert.equal((await refused)[0].message, 'User not found');
    assert.deepEqual(heard, [{ code: 'unauthorized', message: 'User not found' }, 'transport close']);
    assert.equal(socket.active, false);
    socket.close();
  });
}

test('an unknown namespace', async () => {
  const socket = open('/nope');
  const [error] = await once(socket, 'connect_error');
  assert.equal(error.message, 'Invalid namespace');
  assert.equal(error.data, undefined);
  socket.close();
});

test('retries repeat a command, which is harmless', async () => {
  const socket = open('', { retries: 3, ackTimeout: 1 }); // most answers come too late for the first try
  const answers = [];
  for (let i = 0; i < 5; i++) socket.emit('subscribe.task', { taskId: 'same' }, (error, answer) => answers.push(answer ?? error));
  await until('all of them to be given up or answered', () => answers.length === 5);
  socket.close();
  const other = open('', { retries: 3, ackTimeout: 8000 });
  assert.deepEqual(await other.emitWithAck('subscribe.task', { taskId: 'same' }), { ok: true, roomId: 'task:same' });
  other.close();
});

test('what was emitted while offline comes after CONNECT', async () => {
  const socket = open('', { autoConnect: false });
  const answers = Array.from({ length: 200 }, () => socket.emitWithAck('ping'));
  socket.connect();
  assert.ok((await Promise.all(answers)).every(({ ok }) => ok));
  socket.close();
});

test('bytes of a client are read, and an event for one user goes to nobody else', async () => {
  const [mine, other] = [open(), open('', { auth: auth(OTHER_BUYER) })];
  await Promise.all([once(mine, 'connect'), once(other, 'connect')]);
  assert.equal((await mine.emitWithAck('ping', Buffer.from([1, 2, 255]))).ok, true);
  const seen = [];
  other.onAny((event) => seen.push(event));
  const event = once(mine, 'task.updated');
  await task();
  await event;
  assert.ok(!seen.includes('task.updated'));
  mine.close();
  other.close();
});

test('finish', () => world.finish());
