// The orders system as its users know it: who gets which event, rooms, ping, and their own snippets unchanged.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import WebSocket from 'ws';
import { openWorld, token } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, CEO, MANAGER_OF_1, MANAGER_OF_2_AND_3, OTHER_BUYER, bonusUpdate, order, placeOrder, statusUpdate, syncResult } from './lib/orders.mjs';
import { root, until } from './lib/processes.mjs';

const world = await openWorld('orders');
const bridge = await world.serve();

// Names for people in tables of expectations.
const PEOPLE = { admin: ADMIN, ceo: CEO, manager1: MANAGER_OF_1, manager23: MANAGER_OF_2_AND_3, buyer: BUYER, other: OTHER_BUYER };
const EVENTS = ['new-order', 'order-created', 'order-status-updated', 'bonus-updated', 'sync-success', 'sync-error'];

async function everybody() {
  const entries = Object.entries(PEOPLE).map(async ([name, user]) => [name, await connect(bridge, { user })]);
  return Object.fromEntries(await Promise.all(entries));
}

const closeAll = (people) => Promise.all(Object.values(people).map((client) => client.close()));

// Ends a scene: when the admin has the last record of each topic, everything before it has passed the router; then
// each person gets a bonus of their own, which nothing that was meant for them can follow.
let scenes = 0;
async function endOfScene(people) {
  const number = 900000 + ++scenes;
  await placeOrder(world, { id: number, user_id: ADMIN, city_id: 999 });
  await world.publish('sync.v1', 'sync.failed', syncResult({ entityId: number, error: 'end' }), { key: `order:${number}` });
  await until('the ends of both topics', () =>
    people.admin.of('order-created').some((m) => m.data.id === number) && people.admin.of('sync-error').some((m) => m.data.entityId === number));
  for (const user of Object.values(PEOPLE)) {
    await world.publish('bonuses.v1', 'bonus.updated', bonusUpdate({ balance: number }), { key: String(user) });
  }
  for (const client of Object.values(people)) {
    client.read = 0;
    await client.expect((m) => m.type === 'bonus-updated' && m.data.balance === number);
  }
}

const isOfStage = (m) => [m.data.id, m.data.entityId, m.data.balance].some((value) => value >= 900000);
const eventsOf = (client) => client.messages.filter((m) => EVENTS.includes(m.type) && !isOfStage(m));

test('each event reaches whom it concerns, once, and nobody else', async () => {
  const people = await everybody();
  const scene = [
    ['orders.v1', 'order.created', order({ id: 1, city_id: 1, user_id: BUYER }), {}, {
      'new-order': ['admin', 'ceo', 'manager1'], 'order-created': ['buyer'] }],
    ['orders.v1', 'order.created', order({ id: 2, city_id: 2, user_id: OTHER_BUYER }), {}, {
      'new-order': ['admin', 'ceo', 'manager23'], 'order-created': ['other'] }],
    ['orders.v1', 'order.created', order({ id: 3, city_id: 3, user_id: ADMIN }), {}, {
      'new-order': ['admin', 'ceo', 'manager23'], 'order-created': ['admin'] }],
    ['orders.v1', 'order.created', order({ id: 4, city_id: 77, user_id: MANAGER_OF_1 }), {}, {
      'new-order': ['admin', 'ceo'], 'order-created': ['manager1'] }],
    ['orders.v1', 'order.status-updated', statusUpdate({ orderId: 1 }), { headers: { user_id: String(BUYER), city_id: '1' } }, {
      'order-status-updated': ['admin', 'ceo', 'manager1', 'buyer'] }],
    ['orders.v1', 'order.status-updated', statusUpdate({ orderId: 2 }), { headers: { user_id: String(OTHER_BUYER) } }, {
      'order-status-updated': ['admin', 'ceo', 'other'] }],
    ['bonuses.v1', 'bonus.updated', bonusUpdate({ balance: 10 }), { key: String(BUYER) }, { 'bonus-updated': ['buyer'] }],
    ['bonuses.v1', 'bonus.updated', bonusUpdate({ balance: 11 }), { key: String(CEO) }, { 'bonus-updated': ['ceo'] }],
    ['sync.v1', 'sync.succeeded', syncResult({ entityId: 1 }), { headers: { city_id: '1' } }, { 'sync-success': ['admin', 'ceo', 'manager1'] }],
    ['sync.v1', 'sync.failed', syncResult({ entityId: 2, error: 'Connection timeout' }), { headers: { city_id: '2' } }, {
      'sync-error': ['admin', 'ceo', 'manager23'] }],
    ['sync.v1', 'sync.failed', syncResult({ entity: 'user', entityId: 3, error: 'x' }), {}, { 'sync-error': ['admin', 'ceo'] }],
  ];
  const wanted = Object.fromEntries(Object.keys(PEOPLE).map((name) => [name, []]));
  for (const [topic, type, data, options, receivers] of scene) {
    await world.publish(topic, type, data, options);
    for (const [event, names] of Object.entries(receivers)) {
      for (const name of names) wanted[name].push(`${event} ${JSON.stringify(data)}`);
    }
  }
  await endOfScene(people);
  for (const [name, client] of Object.entries(people)) {
    const got = eventsOf(client).map((m) => `${m.type} ${JSON.stringify(m.data)}`);
    assert.deepEqual(got.sort(), wanted[name].sort(), `what ${name} received`);
  }
  await closeAll(people);
});

test('connected says the user id in the JSON type that the token has, and the role of the database', async () => {
  const cases = [
    [{ sub: BUYER }, { userId: BUYER, role: 'buyer' }],
    [{ sub: String(BUYER) }, { userId: String(BUYER), role: 'buyer' }],
    [{ userId: ADMIN, role: 'buyer' }, { userId: ADMIN, role: 'admin' }],
    [{ id: CEO }, { userId: CEO, role: 'ceo' }],
    [{ id: ADMIN, userId: CEO, sub: MANAGER_OF_1 }, { userId: MANAGER_OF_1, role: 'manager' }],
  ];
  for (const [claims, data] of cases) {
    const client = await connect(bridge, { token: token(claims) });
    const { cursor, ...first } = client.messages[0];
    assert.deepEqual(first, { type: 'connected', data });
    assert.match(cursor, /^[A-Za-z0-9_-]{1,64}$/);
    await client.close();
  }
});

test('an event carries id, time and the payload byte for byte; its two names have two ids', async () => {
  const admin = await connect(bridge, { user: ADMIN });
  const payload = `{ "id":31337 ,"order_number":"\\u0416-1/\\/","user_id":${ADMIN},"city_id":1,\t"status":"pending","total":1500.00,"note":"Жареный «гусь» 🪿", "big":12345678901234567890}`;
  await world.kafka.produce(world.topic('orders.v1'), { key: '31337', partition: 1, value: payload, headers: { ce_type: 'order.created' } });
  const first = await admin.expect((m) => ['new-order', 'order-created'].includes(m.type));
  const second = await admin.expect((m) => ['new-order', 'order-created'].includes(m.type));
  assert.deepEqual([first.type, second.type].sort(), ['new-order', 'order-created']);
  for (const message of [first, second]) {
    assert.ok(message.text.includes(`"data":${payload}`), message.text);
    assert.match(message.id, new RegExp(`^${world.topic('orders\\.v1')}:1:\\d+:[0-9a-f]{8}$`));
    assert.match(message.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(message.time) - Date.now()) < 60000, message.time);
  }
  assert.notEqual(first.id, second.id);
  await admin.close();
});

test('the same event has the same id on two connections and on another instance', async () => {
  const other = await world.serve();
  const clients = await Promise.all([connect(bridge, { user: ADMIN }), connect(bridge, { user: CEO }), connect(other, { user: ADMIN })]);
  await placeOrder(world, { id: 5 });
  const ids = await Promise.all(clients.map(async (client) => (await client.expect((m) => m.data.id === 5)).id));
  assert.equal(new Set(ids).size, 1, ids.join(' '));
  await Promise.all(clients.map((client) => client.close()));
});

test('type and data may also stand in the value, and the type in a plain header', async () => {
  const admin = await connect(bridge, { user: ADMIN });
  const topic = world.topic('orders.v1');
  await world.kafka.produce(topic, { partition: 0, value: { type: 'order.created', data: order({ id: 61 }) } });
  await world.kafka.produce(topic, { partition: 0, value: order({ id: 62 }), headers: { type: 'order.created' } });
  assert.deepEqual((await admin.expect('new-order')).data, order({ id: 61 }));
  assert.deepEqual((await admin.expect('new-order')).data, order({ id: 62 }));
  await admin.close();
});

test('ping is answered with pong', async () => {
  const client = await connect(bridge, { user: BUYER });
  assert.deepEqual(await client.ask({ type: 'ping' }, () => true), { type: 'pong' });
  await client.close();
});

test('a room that was left is silent until it is joined again', async () => {
  const admin = await connect(bridge, { user: ADMIN });
  const room = { roomId: 'admin-orders' };
  assert.deepEqual(await admin.ask({ type: 'leave-room', data: room }, 'room-left'), { type: 'room-left', data: room });
  await placeOrder(world, { id: 71, user_id: BUYER });
  await placeOrder(world, { id: 72, user_id: ADMIN });
  await admin.expect((m) => m.type === 'order-created' && m.data.id === 72);
  assert.deepEqual(admin.of('new-order'), []);
  assert.deepEqual(await admin.ask({ type: 'join-room', data: room }, 'room-joined'), { type: 'room-joined', data: room });
  await placeOrder(world, { id: 73 });
  assert.equal((await admin.expect('new-order')).data.id, 73);
  await admin.close();
});

test('joining a room twice is answered twice and events still come once', async () => {
  const admin = await connect(bridge, { user: ADMIN });
  const room = { roomId: 'admin-orders' };
  await admin.ask({ type: 'join-room', data: room }, 'room-joined');
  await admin.ask({ type: 'join-room', data: room }, 'room-joined');
  await placeOrder(world, { id: 81 });
  await placeOrder(world, { id: 82 });
  await admin.expect((m) => m.data.id === 82);
  assert.deepEqual(admin.of('new-order').map((m) => m.data.id), [81, 82]);
  await admin.close();
});

test('a manager gets the cities of the database, as they are when he connects', async () => {
  await world.sql('INSERT INTO cities (id, name) VALUES (50, $1)', ['Fifty']);
  const before = await connect(bridge, { user: MANAGER_OF_1 });
  const refused = await before.ask({ type: 'join-room', data: { roomId: 'city-50-orders' } }, 'error');
  assert.equal(refused.data.code, 'forbidden');
  await world.sql('INSERT INTO manager_cities (user_id, city_id) VALUES ($1, 50)', [MANAGER_OF_1]);
  const after = await connect(bridge, { user: MANAGER_OF_1 });
  await placeOrder(world, { id: 91, city_id: 50 });
  assert.equal((await after.expect('new-order')).data.id, 91);
  await Promise.all([before.close(), after.close()]);
});

// --- the snippets of the users' own documentation, unchanged; only where localhost:3000 leads is decided here

class SnippetSocket extends WebSocket {
  static opened = [];

  constructor(url) {
    super(url.replace('ws://localhost:3000', `ws://127.0.0.1:${bridge.port}`));
    SnippetSocket.opened.push(this);
  }
}

function runSnippet(snippet, surroundings) {
  SnippetSocket.opened = [];
  const names = { WebSocket: SnippetSocket, ...surroundings };
  new Function(...Object.keys(names), snippet)(...Object.values(names));
  return SnippetSocket.opened[0];
}

const closed = (socket) => new Promise((done) => {
  socket.addEventListener('close', () => done());
  socket.close();
});

test('the documented connection snippet connects', async () => {
  const snippet = `
const token = "your-jwt-token";
const ws = new WebSocket(\`ws://localhost:3000?token=\${token}\`);
`;
  const socket = runSnippet(snippet.replace('your-jwt-token', token({ userId: BUYER })), {});
  const first = await new Promise((done) => socket.once('message', (data) => done(JSON.parse(data))));
  assert.equal(first.type, 'connected');
  assert.deepEqual(first.data, { userId: BUYER, role: 'buyer' });
  await closed(socket);
});

test('the documented Telegram mini app shows status and balance', async () => {
  const snippet = `
// Подключение
const token = localStorage.getItem("jwt_token");
const ws = new WebSocket(\`ws://localhost:3000?token=\${token}\`);

ws.onopen = () => {
  console.log("WebSocket connected");
};

ws.onmessage = (event) => {
  const message = JSON.parse(event.data);

  switch (message.type) {
    case "order-status-updated":
      // Обновить UI статуса заказа
      updateOrderStatus(message.data.orderId, message.data.newStatus);
      break;

    case "bonus-updated":
      // Обновить баланс бонусов
      updateBonusBalance(message.data.balance);
      break;
  }
};

ws.onerror = (error) => {
  console.error("WebSocket error:", error);
};

ws.onclose = () => {
  console.log("WebSocket disconnected");
  // Попытка переподключения через 5 секунд
  setTimeout(() => reconnect(), 5000);
};
`;
  const seen = [];
  const socket = runSnippet(snippet, {
    localStorage: { getItem: (name) => (name === 'jwt_token' ? token({ sub: BUYER }) : null) },
    console: { log: (text) => seen.push(text), error: (...all) => seen.push(...all.map(String)) },
    updateOrderStatus: (id, status) => seen.push(`order ${id} ${status}`),
    updateBonusBalance: (balance) => seen.push(`balance ${balance}`),
    setTimeout: (callback, delay) => seen.push(`again in ${delay}`),
    reconnect: () => {},
  });
  await new Promise((done) => socket.once('message', done));
  await world.publish('orders.v1', 'order.status-updated', statusUpdate(), { headers: { user_id: String(BUYER) } });
  await until('the status', () => seen.includes('order 456 preparing'));
  await world.publish('bonuses.v1', 'bonus.updated', bonusUpdate(), { key: String(BUYER) });
  await until('the balance', () => seen.includes('balance 150.5'));
  await closed(socket);
  await until('the end of it', () => seen.includes('again in 5000'));
  assert.deepEqual(seen, ['WebSocket connected', 'order 456 preparing', 'balance 150.5', 'WebSocket disconnected', 'again in 5000']);
});

test('the documented admin panel shows new orders and failed synchronization', async () => {
  const snippet = `
// Подключение
const token = localStorage.getItem("admin_token");
const ws = new WebSocket(\`ws://localhost:3000?token=\${token}\`);

ws.onmessage = (event) => {
  const message = JSON.parse(event.data);

  switch (message.type) {
    case "new-order":
      // Показать уведомление о новом заказе
      showNotification("Новый заказ", message.data);
      // Обновить список заказов
      refreshOrdersList();
      break;

    case "sync-error":
      // Показать предупреждение об ошибке синхронизации
      showAlert(\`Ошибка синхронизации \${message.data.entity} #\${message.data.entityId}\`);
      break;
  }
};
`;
  const seen = [];
  const socket = runSnippet(snippet, {
    localStorage: { getItem: (name) => (name === 'admin_token' ? token({ sub: ADMIN }) : null) },
    showNotification: (title, data) => seen.push(`${title} ${data.order_number}`),
    refreshOrdersList: () => seen.push('refresh'),
    showAlert: (text) => seen.push(text),
  });
  await new Promise((done) => socket.once('message', done));
  await placeOrder(world, {});
  await until('the order', () => seen.includes('refresh'));
  await world.publish('sync.v1', 'sync.failed', syncResult({ error: 'Connection timeout' }), { key: 'order:456' });
  await until('the alert', () => seen.length === 3);
  assert.deepEqual(seen, ['Новый заказ 1234', 'refresh', 'Ошибка синхронизации order #456']);
  await closed(socket);
});

test('the documented wscat command gets connected and pong', async () => {
  const url = `ws://localhost:3000?token=${token({ sub: BUYER })}`.replace('localhost:3000', `127.0.0.1:${bridge.port}`);
  const output = await new Promise((done, failed) => {
    execFile(process.execPath, [join(root, 'node_modules/wscat/bin/wscat'), '-c', url, '-x', '{"type":"ping"}', '-w', '1'],
      { timeout: 10000 }, (error, stdout, stderr) => (error ? failed(new Error(`${error.message}\n${stdout}\n${stderr}`)) : done(stdout)));
  });
  assert.match(output, /\{"type":"connected","data":\{"userId":123,"role":"buyer"\},"cursor":"[\w-]+"\}/);
  assert.match(output, /\{"type":"pong"\}/);
});

test('the bridge ends in good health', () => world.finish());
