// Who means harm with what costs it nothing: each attack gets its answer, and the clients beside it feel nothing.
// Floods of messages, and who comes too often, are in limits.test.mjs; single offences in input.test.mjs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { bareClient, bareSocket, connect, frame, frameOf } from './lib/client.mjs';
import { descriptors } from './lib/crowd.mjs';
import { ADMIN, BUYER, order, placeOrder } from './lib/orders.mjs';
import { root, sleep, start, stop, until } from './lib/processes.mjs';

const TEXT = 1, CONTINUATION = 0, CLOSE = 8;

const world = await openWorld('hostile');
const bridge = await world.serve({ AUTH_TIMEOUT: '1', NAMESPACE_TIMEOUT: '2' });
const neighbour = await connect(bridge, { user: ADMIN });

let last = 1000;
async function neighbourFeelsNothing() {
  const id = ++last;
  await placeOrder(world, { id });
  await neighbour.expect((m) => m.type === 'new-order' && m.data.id === id);
}

// --- slow, large, broken

test('300 request heads that drip in byte by byte end with 408 in AUTH_TIMEOUT, and meanwhile others come in', async () => {
  const text = `GET /?token=${'x'.repeat(500)} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const drips = await Promise.all(Array.from({ length: 300 }, () => bareSocket(bridge)));
  const began = performance.now();
  let at = 0;
  const dripping = setInterval(() => {
    for (const drip of drips) if (!drip.closed) drip.write(text[at % text.length]);
    at++;
  }, 50);
  const late = connect(bridge, { user: BUYER });
  await (await late).close();
  const took = performance.now() - began;
  await Promise.all(drips.map((drip) => drip.closing(8000)));
  clearInterval(dripping);
  const all = performance.now() - began;
  for (const drip of drips) assert.match(drip.received.toString('latin1'), /^HTTP\/1\.1 408 /);
  assert.ok(took < 1000, `another client took ${took} ms`);
  assert.ok(all < 5000, `they lasted ${all} ms`);
  assert.ok(await bridge.metric('causeway_limit_hits_total', { limit: 'handshake_time' }) >= 300);
  await neighbourFeelsNothing();
});

test('a Socket.IO connection that joins no namespace ends after NAMESPACE_TIMEOUT, polling too', async () => {
  const began = performance.now();
  const polling = await bareSocket(bridge);
  polling.write('GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n');
  const { sid } = JSON.parse((await polling.answer()).text.split('\r\n\r\n0')[1]);
  const wire = await socketIo({ connect: false });
  const end = await frameOf(wire, (f) => f.opcode === CLOSE);
  assert.equal(end.reason, 'no namespace was joined');
  const took = performance.now() - began;
  assert.ok(took > 1900 && took < 5000, `after ${took} ms`);
  await until('the polling session to be forgotten', async () => {
    const later = await bareSocket(bridge);
    later.write(`GET /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const { status } = await later.answer();
    later.destroy();
    return status === 400;
  }, { every: 100 });
  for (const bare of [polling, wire]) bare.destroy();
  await neighbourFeelsNothing();
});

const BOMBS = [
  ['a query of thousands of names', `GET /socket.io/?${'EIO=4&'.repeat(2500)}transport=polling HTTP/1.1\r\nHost: x\r\n\r\n`, [200, 400, 414, 431]],
  ['a query of percent signs', `GET /socket.io/?EIO=4&transport=${'%'.repeat(10000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [400]],
  ['a path of 15 KB', `GET /${'a/../'.repeat(3000)} HTTP/1.1\r\nHost: x\r\n\r\n`, [404]],
  ['a path of 64 KB', `GET /${'a'.repeat(65536)} HTTP/1.1\r\nHost: x\r\n\r\n`, [414]],
  ['a hundred cookies', `GET / HTTP/1.1\r\nHost: x\r\n${'Cookie: a=b\r\n'.repeat(100)}\r\n`, [431]],
  ['a hundred forwarded addresses', `GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${'1.2.3.4, '.repeat(1000)}x\r\n\r\n`, [404]],
  ['two hosts', 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', [400]],
  ['a folded header', 'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n', [400]],
  ['two lengths of a body', 'POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', [400]],
  ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
  ['an upgrade to h2c', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n', [404]],
];

for (const [what, request, statuses] of BOMBS) {
  test(`${what}: ${statuses.join(' or ')}`, async () => {
    const bare = await bareSocket(bridge);
    bare.write(Buffer.from(request, 'latin1'));
    const { status, text } = await bare.answer();
    assert.ok(statuses.includes(status), text.slice(0, 200));
    bare.destroy();
    await neighbourFeelsNothing();
  });
}

test('compression is not agreed to, whoever offers it', async () => {
  const bare = await bareSocket(bridge);
  bare.write(`GET /?token=${token({ sub: BUYER })} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`
    + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n');
  const { status, text } = await bare.answer();
  assert.equal(status, 101);
  assert.doesNotMatch(text, /extensions/i);
  bare.destroy();
});

test('a message of empty fragments without end is a violation', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  bare.write(Buffer.concat([frame(TEXT, '{', { fin: false }), ...Array.from({ length: 200 }, () => frame(CONTINUATION, '', { fin: false }))]));
  const end = await frameOf(bare, (f) => f.opcode === CLOSE);
  assert.deepEqual([end.code, end.reason], [1002, 'too many empty fragments']);
  bare.destroy();
  await neighbourFeelsNothing();
});

test('500 connections that end themselves by bad frames, one after the other', async () => {
  const bad = [frame(3, 'x'), frame(TEXT, 'x', { mask: false }), frame(TEXT, 'x', { rsv: 4 }), frame(CLOSE, 'x'), frame(TEXT, Buffer.from([0xff]))];
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 50 }, async (_, i) => {
      const bare = await bareClient(bridge, { user: BUYER });
      bare.write(bad[i % bad.length]);
      const end = await frameOf(bare, (f) => f.opcode === CLOSE);
      assert.ok([1002, 1007].includes(end.code));
      bare.destroy();
    }));
  }
  await neighbourFeelsNothing();
});

// --- strict JSON, at every door

const OFFENCES = [
  ['65 levels', '['.repeat(65) + ']'.repeat(65)],
  ['one name twice', '{"a":1,"a":1}'],
  ['one name twice, once with an escape', '{"a":1,"\\u0061":1}'],
  ['a NUL byte', Buffer.from([0x22, 0x00, 0x22])],
  ['an escaped NUL', '"\\u0000"'],
  ['a NUL in a name', '{"type\\u0000x":1}'],
  ['half a surrogate pair', '"\\ud83d"'],
  ['the halves of a pair in the wrong order', '"\\ude00\\ud83d"'],
  ['a line feed in a string', '"\n"'],
  ['a number with a leading zero', '01'],
  ['a number without digits behind the point', '1.'],
  ['NaN', 'NaN'],
  ['a comment', '1/**/'],
  ['a trailing comma', '[1,]'],
  ['single quotes', "'x'"],
  ['a bracket too many', '1]'],
];
const NOT_UTF8 = ['bytes that are no UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22])];

const within = (before, value, after) => Buffer.concat([Buffer.from(before), Buffer.from(value), Buffer.from(after)]);

for (const [what, value] of OFFENCES) {
  test(`JSON with ${what} is refused in a message, by Socket.IO and in a record`, async () => {
    const bare = await bareClient(bridge, { user: BUYER });
    bare.write(frame(TEXT, within('{"type":"ping","x":', value, '}')));
    await frameOf(bare, (f) => f.text?.includes('"bad_json"'));
    bare.destroy();

    const wire = await socketIo();
    wire.write(frame(TEXT, within('420["ping",', value, ']')));
    const end = await frameOf(wire, (f) => f.opcode === CLOSE);
    assert.equal(end.code, 1002);
    assert.match(end.reason, /JSON/);
    wire.destroy();

    const rejected = () => bridge.metric('causeway_kafka_records_rejected_total', { reason: 'not_json' });
    const before = await rejected();
    await world.kafka.produce(world.topic('orders.v1'), { partition: 0, headers: { ce_type: 'order.created' },
      value: within('{"id":1,"user_id":1,"city_id":1,"x":', value, '}') });
    await neighbourFeelsNothing();
    assert.equal(await rejected(), before + 1);
  });
}

// A connection of Socket.IO by hand, connected to its namespace unless told otherwise.
async function socketIo({ connect: joins = true } = {}) {
  const bare = await bareSocket(bridge);
  bare.write('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
    + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
  const { text } = await bare.answer();
  bare.received = bare.received.subarray(text.indexOf('\r\n\r\n') + 4);
  bare.frames = [];
  await frameOf(bare, (f) => f.text?.startsWith('0{'));
  if (!joins) return bare;
  bare.write(frame(TEXT, `40{"token":"${token({ sub: BUYER })}"}`));
  await frameOf(bare, (f) => f.text?.startsWith('40{'));
  return bare;
}

test(`JSON with ${NOT_UTF8[0]} is refused likewise`, async () => {
  for (const open of [() => bareClient(bridge, { user: BUYER }), socketIo]) {
    const bare = await open();
    bare.write(frame(TEXT, within('420["ping",', NOT_UTF8[1], ']')));
    assert.equal((await frameOf(bare, (f) => f.opcode === CLOSE)).code, 1007);
    bare.destroy();
  }
});

test('numbers of 64 bits and more arrive digit for digit', async () => {
  const value = JSON.stringify(order({ id: 'ID' })).replace('"ID"', '9223372036854775807').replace('}', ',"big":123456789012345678901234567890.50}');
  await world.kafka.produce(world.topic('orders.v1'), { partition: 0, headers: { ce_type: 'order.created' }, value });
  const event = await neighbour.expect((m) => m.text.includes('9223372036854775807'));
  assert.ok(event.text.includes(value), event.text);
});

// --- many

const percentile = (list, share) => list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))];

// Milliseconds from before the event is given to Kafka until each client has it.
async function delays(clients, events) {
  const began = new Map();
  const found = [];
  for (const client of clients) {
    client.onMessage = (m) => {
      if (began.has(m.data?.id)) found.push(m.at - began.get(m.data.id));
    };
  }
  for (let i = 0; i < events; i++) {
    const id = ++last;
    began.set(id, performance.now());
    await placeOrder(world, { id });
    await sleep(10);
  }
  await until('all events at all clients', () => found.length === clients.length * events, { timeout: 20000 });
  return { p50: percentile(found, 0.5), p99: percentile(found, 0.99) };
}

/* What the program costs is there every time; what else the machine does, mostly not. */
async function delaysBelow(most, clients) {
  let best;
  for (let i = 0; i < 6 && !(best?.p99 < most); i++) {
    const found = await delays(clients, 50);
    if (!best || found.p99 < best.p99) best = found;
  }
  return best;
}

test('10,000 connections without a credential do not disturb 200 with one, and their descriptors return', async (t) => {
  const crowded = await world.serve({ AUTH_TIMEOUT: '60' });
  const clients = await Promise.all(Array.from({ length: 200 }, () => connect(crowded, { user: ADMIN })));
  await delays(clients, 10);
  const before = await delaysBelow(30, clients);
  const horde = start(process.execPath, [join(root, 'tests/system/lib/horde.mjs'), String(crowded.port), '10000'],
    { log: join(crowded.dir, 'horde'), name: 'horde' });
  const arriving = await delays(clients, 50);
  await until('the horde to stand', () => {
    assert.ok(!horde.end, horde.logText());
    return horde.logText().includes('ready');
  }, { timeout: 30000 });
  assert.ok(descriptors(crowded) >= 10200, `${descriptors(crowded)} descriptors`);
  const most = Math.max(100, 2 * before.p99);
  const during = await delaysBelow(most, clients);
  const show = ({ p50, p99 }) => `${p50.toFixed(1)}/${p99.toFixed(1)} ms`;
  t.diagnostic(`figures: delay p50/p99: before ${show(before)}, while they come ${show(arriving)}, while they stand ${show(during)}`);
  assert.ok(during.p99 < most, `p99 ${during.p99} ms, before ${before.p99} ms`);
  await stop(horde, { signal: 'SIGKILL' });
  await until('the descriptors to return', () => descriptors(crowded) === 200, { timeout: 20000, every: 100 });
  await delays(clients, 5);
  for (const client of clients) client.terminate();
});

test('the bridges end in good health', async () => {
  await neighbour.close();
  await world.finish();
});
