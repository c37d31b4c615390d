// Too much of something, by one connection, one user or one address: who does it is told when to come back, and nobody
// else feels it. The addresses are those that a trusted proxy forwards.
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { openWorld, token } from './lib/bridge.mjs';
import { attempt, bareClient, bareSocket, connect, frame, frameOf } from './lib/client.mjs';
import { Line, Wire, request } from './lib/engineio.mjs';
import { ADMIN, BUYER, CEO, MANAGER_OF_1, MANAGER_OF_2_AND_3, OTHER_BUYER, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const TEXT = 1, CLOSE = 8, PING = 9, PONG = 10;

const world = await openWorld('limits');
const bridge = await world.serve({
  LOOPS: '2', // what a user or an address may is counted across both
  TRUSTED_PROXIES: '127.0.0.0/8, 10.0.0.0/8',
  MESSAGE_RATE: '20',
  JOIN_RATE: '1',
  CONNECTIONS_USER: '3',
  CONNECT_RATE_ADDRESS: '2',
  UNAUTHENTICATED_ADDRESS: '6',
  LOGIN_FAILURES_ADDRESS: '3',
});
const from = (address) => ({ 'x-forwarded-for': address });
const hits = (limit) => bridge.metric('causeway_limit_hits_total', { limit });

const neighbour = await connect(bridge, { user: ADMIN, headers: from('192.0.2.1') });
let offences = 0;
async function neighbourFeelsNothing() {
  const id = 1000 + ++offences;
  await placeOrder(world, { id });
  await neighbour.expect((m) => m.type === 'new-order' && m.data.id === id);
}

async function assertHit(limit, work) {
  const before = await hits(limit);
  await work();
  assert.ok(await hits(limit) > before, `no hit of ${limit}`);
  await neighbourFeelsNothing();
}

const assertRefused = (answer, code) => {
  assert.equal(answer.status, 429, answer.body);
  assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
  assert.equal(JSON.parse(answer.body).error.code, code);
};

test('messages beyond MESSAGE_RATE are refused with the time to wait, and who waits goes on', () => assertHit('messages', async () => {
  const client = await connect(bridge, { user: BUYER, headers: from('192.0.2.10') });
  for (let i = 0; i < 220; i++) client.send({ type: 'ping' });
  const refusal = await client.expect('error');
  assert.equal(refusal.data.code, 'rate_limited');
  assert.ok(refusal.data.retryAfterMs > 0 && refusal.data.retryAfterMs <= 50, JSON.stringify(refusal));
  await until('all answers', () => client.of('pong').length + client.of('error').length === 220);
  assert.ok(client.of('pong').length >= 199, `${client.of('pong').length} were answered`); // the upgrade was one, too
  await new Promise((done) => { setTimeout(done, refusal.data.retryAfterMs + 70); });
  assert.equal((await client.ask({ type: 'ping' }, () => true)).type, 'pong');
  await placeOrder(world, { id: 1, user_id: BUYER });
  await client.expect('order-created');
  await client.close();
}));

for (const [what, bytes] of [['messages', frame(TEXT, '{"type":"ping"}')], ['bad messages', frame(TEXT, 'no')], ['ping frames', frame(PING, 'x')],
  ['pong frames', frame(PONG, 'x')]]) {
  test(`who floods with ${what} is closed with 4429`, () => assertHit('messages', async () => {
    const bare = await bareClient(bridge, { user: OTHER_BUYER });
    bare.write(Buffer.concat(Array.from({ length: 2000 }, () => bytes)));
    const end = await frameOf(bare, (f) => f.opcode === CLOSE);
    assert.equal(end.code, 4429);
    assert.match(end.reason, /^too many messages; come back after \d+ ms$/);
    bare.write(frame(CLOSE, Buffer.from([0x11, 0x4d])));
    await bare.closing();
  }));
}

test('joins beyond JOIN_RATE are refused with the time to wait', () => assertHit('joins', async () => {
  const client = await connect(bridge, { user: BUYER, headers: from('192.0.2.11') });
  for (let i = 0; i < 12; i++) {
    client.send({ type: 'join-room', data: { roomId: `city-${i}-orders` } });
    if (i === 9) await until('ten answers', () => client.of('error').length === 10);
  }
  await until('all answers', () => client.of('error').length === 12);
  assert.deepEqual(client.of('error').map((m) => m.data.code), [...Array(10).fill('forbidden'), ...Array(2).fill('rate_limited')]);
  const { data } = client.of('error').at(-1);
  assert.equal(data.roomId, 'city-11-orders');
  assert.ok(data.retryAfterMs > 0 && data.retryAfterMs <= 1000);
  await client.close();
}));

test('one user has CONNECTIONS_USER connections, wherever from and on all loops', () => assertHit('user_connections', async () => {
  const open = [];
  for (let i = 0; i < 3; i++) open.push(await connect(bridge, { user: MANAGER_OF_1, headers: from(`192.0.2.${20 + i}`) }));
  assertRefused(await attempt(bridge, { user: MANAGER_OF_1, headers: from('192.0.2.23') }), 'rate_limited');
  const browser = await connect(bridge, { user: MANAGER_OF_1, headers: from('192.0.2.23'), origin: 'https://x.example', welcome: false });
  const late = await connect(bridge, { headers: from('192.0.2.23'), welcome: false });
  late.send({ type: 'auth', data: { token: token({ sub: MANAGER_OF_1 }) } });
  for (const client of [browser, late]) {
    const end = await client.closing();
    assert.deepEqual([end.code, end.reason], [4429, 'too many connections of this user; come back after 5000 ms']);
  }
  await open.pop().close();
  await until('the place to be free', async () => {
    const { client } = await attempt(bridge, { user: MANAGER_OF_1, headers: from('192.0.2.24') });
    if (client) open.push(client);
    return client;
  }, { every: 100 });
  for (const client of open) await client.close();
}));

test('new connections of one address beyond CONNECT_RATE_ADDRESS get 429; others come in', () => assertHit('address_connects', async () => {
  const answers = [];
  for (let i = 0; i < 30; i++) answers.push(await attempt(bridge, { token: 'x', headers: from('192.0.2.30') }));
  const late = answers.filter(({ body }) => JSON.parse(body).error.code === '429');
  assert.ok(late.length >= 9 && late.length <= 11, `${late.length} of 30`);
  late.forEach((answer) => assertRefused(answer, '429'));
  await (await connect(bridge, { user: BUYER, headers: from('192.0.2.31') })).close();
}));

test('after LOGIN_FAILURES_ADDRESS bad credentials nobody of that address is judged; who is in stays', () => assertHit('address_login_failures', async () => {
  const here = from('192.0.2.40');
  const inside = await connect(bridge, { user: BUYER, headers: here });
  for (const bad of ['x', token({ sub: BUYER, exp: 1 }), token({ sub: 4711 })]) assert.equal((await attempt(bridge, { token: bad, headers: here })).status, 401);
  assertRefused(await attempt(bridge, { user: BUYER, headers: here }), 'rate_limited');
  const late = await connect(bridge, { headers: here, welcome: false });
  late.send({ type: 'auth', data: { token: token({ sub: BUYER }) } });
  const end = await late.closing();
  assert.equal(end.code, 4429);
  assert.match(end.reason, /^too many bad credentials from this address; come back after (1\d|20)\d{3} ms$/);
  const answer = await inside.ask({ type: 'refresh', data: { token: 'x' } }, 'error');
  assert.equal(answer.data.code, 'rate_limited');
  assert.ok(answer.data.retryAfterMs > 10000);
  await placeOrder(world, { id: 2, user_id: BUYER });
  await inside.expect('order-created');
  await inside.close();
  await (await connect(bridge, { user: BUYER, headers: from('192.0.2.41') })).close();
}));

test('connections of one address without a credential beyond UNAUTHENTICATED_ADDRESS get 429; a good credential makes room', () =>
  assertHit('address_unauthenticated', async () => {
    const here = from('192.0.2.50');
    const silent = [];
    for (let i = 0; i < 6; i++) silent.push(await connect(bridge, { headers: here, welcome: false }));
    assertRefused(await attempt(bridge, { user: BUYER, headers: here }), '429');
    silent[0].send({ type: 'auth', data: { token: token({ sub: BUYER }) } });
    await silent[0].expect('connected');
    await (await connect(bridge, { user: OTHER_BUYER, headers: here })).close();
    for (const client of silent) client.terminate();
  }));

test('only what trusted proxies have added to X-Forwarded-For counts', async () => {
  const through = (...list) => attempt(bridge, { token: 'x', headers: from(list.join(', ')) });
  for (let i = 0; i < 3; i++) assert.equal((await through(`203.0.113.${i}`, '192.0.2.60', '10.1.2.3')).status, 401);
  assertRefused(await through('203.0.113.9', '192.0.2.60', '10.9.9.9'), 'rate_limited');
  assertRefused(await through('192.0.2.60'), 'rate_limited');
  assert.equal((await through('192.0.2.60', '203.0.113.1')).status, 401);
});

// --- Socket.IO

const socketIo = (address, options = {}) => io(`http://127.0.0.1:${bridge.port}/`, {
  auth: { token: token({ sub: BUYER }) }, extraHeaders: from(address), forceNew: true, reconnection: false, ...options,
});
const once = (socket, event) => new Promise((done, failed) => {
  const timer = setTimeout(() => failed(new Error(`no ${event}`)), 8000);
  socket.once(event, (...args) => {
    clearTimeout(timer);
    done(args);
  });
});

for (const transport of ['polling', 'websocket']) {
  test(`Socket.IO by ${transport}: events beyond the rate are acknowledged with rate_limited, floods disconnected`, () => assertHit('messages', async () => {
    const socket = socketIo(`192.0.2.${transport === 'polling' ? 70 : 71}`, { transports: [transport] });
    await once(socket, 'connect');
    const answers = [];
    for (let i = 0; i < 230; i++) socket.emit('ping', {}, (answer) => answers.push(answer));
    await until('all answers', () => answers.length === 230);
    assert.ok(answers.filter(({ ok }) => ok).length >= 190);
    const refused = answers.find(({ ok }) => !ok);
    assert.equal(refused.error.code, 'rate_limited');
    assert.ok(refused.error.retryAfterMs > 0);
    const gone = once(socket, 'disconnect');
    for (let i = 0; i < 1000; i++) socket.emit('ping', {});
    await gone;
  }));
}

test('Socket.IO: bad credentials of an address are refused in the end without being judged', () => assertHit('address_login_failures', async () => {
  for (let i = 0; i < 4; i++) {
    const socket = socketIo('192.0.2.72', { auth: { token: i < 3 ? 'x' : token({ sub: BUYER }) }, transports: ['websocket'] });
    const [error] = await once(socket, 'connect_error');
    assert.equal(error.data.code, i < 3 ? 'unauthorized' : 'rate_limited');
    if (i === 3) assert.ok(error.message === 'Too many requests' && error.data.retryAfterMs > 10000);
    socket.close();
  }
}));

test('HTTP requests on one connection count as messages: beyond the rate 429, and the connection is closed', () => assertHit('messages', async () => {
  const bare = await bareSocket(bridge);
  bare.write(Array.from({ length: 230 }, () => 'GET /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.73\r\n\r\n').join(''));
  await bare.closing();
  const statuses = bare.received.toString('latin1').match(/(?<=HTTP\/1\.1 )\d+/g);
  assert.ok(statuses.length >= 201 && statuses.length < 230, `${statuses.length} answers`);
  assert.deepEqual([...new Set(statuses.slice(0, -1)), statuses.at(-1)], ['400', '429']);
}));

test('a Socket.IO connection that has left all namespaces counts as one without a credential', () => assertHit('address_unauthenticated', async () => {
  const headers = from('192.0.2.92');
  const wires = [];
  for (const user of [ADMIN, CEO, MANAGER_OF_1, MANAGER_OF_2_AND_3, BUYER, OTHER_BUYER]) {
    wires.push(await Wire.open(bridge, {}, { headers }));
    await wires.at(-1).connect(user);
    wires.at(-1).send('41');
  }
  await until('the next one to be refused', () => Wire.open(bridge, {}, { headers }).then((wire) => wire.drop(), ({ status }) => status === 429), { every: 300 });
  for (const wire of wires) wire.drop();
}));

test('requests that go to and fro between the loops are counted on', () => assertHit('messages', async () => {
  const here = from('192.0.2.91');
  const byLoop = new Map();
  await until('a session on each loop', async () => {
    const { body } = await request(bridge, 'GET', {}, { headers: here });
    const { sid } = JSON.parse(body.slice(1));
    byLoop.set(Buffer.from(sid, 'base64url')[0], sid);
    return byLoop.size === 2;
  });
  const bare = await bareSocket(bridge);
  for (let i = 0; i < 300; i++) {
    bare.write(`PUT /socket.io/?EIO=4&transport=polling&sid=${byLoop.get(i % 2)} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.91\r\n\r\n`);
  }
  await bare.closing();
  const statuses = bare.received.toString('latin1').match(/(?<=HTTP\/1\.1 )\d+/g);
  assert.ok(statuses.length >= 200 && statuses.length < 260, `${statuses.length} answers`);
  assert.equal(statuses.at(-1), '429');
}));

test('Socket.IO sessions without a credential count as connections, many on one connection too', () =>
  assertHit('address_unauthenticated', async () => {
    const line = new Line(bridge);
    const answers = [];
    for (let i = 0; i < 12; i++) answers.push(await line.ask('GET', {}, { headers: from('192.0.2.90') }));
    assert.deepEqual(answers.map(({ status }) => status), [...Array(6).fill(200), ...Array(6).fill(429)]);
    assert.match(answers.at(-1).headers['retry-after'], /^[1-9]\d*$/);
    await assert.rejects(Wire.open(bridge, {}, { headers: from('192.0.2.90') }), { status: 429 });
    const first = JSON.parse(answers[0].body.slice(1)).sid;
    assert.equal((await line.ask('POST', { sid: first }, { headers: from('192.0.2.90'), body: `40{"token":"${token({ sub: BUYER })}"}` })).body, 'ok');
    assert.match((await line.ask('GET', { sid: first }, { headers: from('192.0.2.90') })).body, /^40\{"sid"/);
    assert.equal((await line.ask('GET', {}, { headers: from('192.0.2.90') })).status, 200, 'the credential has made room');
    line.end();
  }));

// --- from this machine

test('without a trusted proxy, who connects from this machine has no limits but those per connection, which is logged', async () => {
  const plain = await world.serve({ CONNECT_RATE_ADDRESS: '1', UNAUTHENTICATED_ADDRESS: '1', LOGIN_FAILURES_ADDRESS: '1', CONNECTIONS_USER: '1' });
  for (let i = 0; i < 20; i++) assert.equal((await attempt(plain, { token: 'x', headers: from('192.0.2.80') })).status, 401);
  const clients = await Promise.all(Array.from({ length: 20 }, () => connect(plain, { user: BUYER })));
  for (const client of clients) await client.close();
  assert.equal(plain.logLines('TRUSTED_PROXIES').length, 1, plain.log());
  assert.equal(await plain.metric('causeway_limit_hits_total'), 0);
});

// --- by both families

// A container may have no IPv6; then there is nothing to connect to.
const noIpv6 = !Object.values(networkInterfaces()).flat().some(({ address }) => address === '::1') && 'this machine has no ::1';

test('by default it listens on IPv4 and IPv6, and an address counts once, by whichever it comes', { skip: noIpv6 }, async () => {
  const both = await world.serve({ HOST: undefined, TRUSTED_PROXIES: '127.0.0.1, ::1', LOGIN_FAILURES_ADDRESS: '3' });
  for (const host of ['127.0.0.1', '[::1]']) {
    const client = await connect(both, { user: BUYER, host });
    await placeOrder(world, { id: 3, user_id: BUYER });
    await client.expect('order-created');
    await client.close();
  }
  const by = (host, address) => attempt(both, { token: 'x', host, headers: from(address) });
  for (const [host, address] of [['127.0.0.1', '192.0.2.90'], ['[::1]', '192.0.2.90'], ['[::1]', '::ffff:192.0.2.90']]) assert.equal((await by(host, address)).status, 401);
  for (const host of ['127.0.0.1', '[::1]']) assertRefused(await by(host, '192.0.2.90'), 'rate_limited');
  assert.equal((await by('[::1]', '192.0.2.91')).status, 401);
});

test('the neighbour saw every event of this file, and the bridges end in good health', async () => {
  assert.deepEqual(neighbour.of('new-order').map((m) => m.data.id).filter((id) => id > 1000), Array.from({ length: offences }, (_, i) => 1001 + i));
  await neighbour.close();
  await world.finish();
});
