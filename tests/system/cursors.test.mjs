// Cursors that nobody was given: cut, changed, invented, of other versions and other installations, endless. At both doors,
// ?cursor= and the messages that take one, each gets an answer that says what to do, and harms nobody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { forged, isSigned, resigned } from './lib/cursors.mjs';
import { ADMIN, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('cursors');
const bridge = await world.serve();
const other = await world.serve({ CHECKPOINT_TOPIC: 'cursors.elsewhere' });
const neighbour = await connect(bridge, { user: ADMIN });
const topic = world.topic('orders.v1');
const gapsOf = (messages) => messages.filter((m) => m.type === 'gap').map((m) => m.data);
const idsOf = (messages) => messages.filter((m) => m.type === 'new-order').map((m) => m.data.id);
let lastId = 0;

for (let i = 0; i < 10; i++) await placeOrder(world, { id: ++lastId });
await until('ten orders', () => idsOf(neighbour.messages).length === 10);
const good = neighbour.messages.findLast((m) => m.type === 'new-order').cursor;
const foreign = (await connect(other, { user: ADMIN })).welcome.cursor;

// None of these was ever a cursor of a version that this program reads.
const UNREADABLE = {
  'a word': 'not-a-cursor',
  'one letter': 'A',
  'four letters': 'AAAA',
  'outside of the alphabet': '../../etc/passwd',
  markup: '<script>alert(1)</script>',
  'SQL': "' OR 1=1 --",
  'a NUL and beyond ASCII': 'A\u0000B\u{1F600}',
  'a line end': 'AAAA\r\nSet-Cookie: a=b',
  'all bits set': '_'.repeat(64),
  '65 characters': `${good}${'A'.repeat(65 - good.length)}`,
  '10 kB': 'A'.repeat(10_000),
  'cut by one': good.slice(0, -1),
  'cut by half': good.slice(0, good.length / 2),
  'twice': good + good,
  'one letter changed': `${good.slice(0, 8)}${good[8] === 'A' ? 'B' : 'A'}${good.slice(9)}`,
  'of version 0': resigned(good, (bytes) => { bytes[0] = 0; }),
  'signed, and cut after the version': resigned(good, (bytes) => bytes.subarray(0, 1)),
  'signed, and cut within a number': resigned(good, (bytes) => Buffer.concat([bytes, Buffer.from([0xff])])),
  'signed, with a number of more than 64 bits': resigned(good, (bytes) => Buffer.concat([bytes.subarray(0, 7), Buffer.alloc(11, 0xff)])),
  'signed, with more steps than there can be': forged(good, { checkpoint: 1, steps: Array.from({ length: 13 }, () => [0, 1]) }),
  'signed, of a partition that cannot be': forged(good, { checkpoint: 1, steps: [[1n << 40n, 1]] }),
};
// These can be read, and lead nowhere.
const LEADING_NOWHERE = {
  'of another installation': foreign,
  'of an invented journal': resigned(good, (bytes) => { bytes[3] ^= 1; }),
  'of a checkpoint yet to be written': forged(good, { checkpoint: 1_000_000 }),
  'of the last offset there is': forged(good, { checkpoint: (1n << 63n) - 1n }),
};
const FUTURE = { 'of a later version': resigned(good, (bytes) => { bytes[0] = 2; }), 'of the last version': resigned(good, (bytes) => { bytes[0] = 255; }) };

const answersAsEver = async (client) => {
  const id = ++lastId;
  await placeOrder(world, { id });
  await until(`order ${id}`, () => idsOf(client.messages).includes(id));
};

test('the forger of this file writes what the program would', () => {
  assert.ok(isSigned(good) && isSigned(foreign) && !isSigned(good.slice(0, -4)));
});

test('beside the upgrade, whatever is no cursor or leads nowhere gets gaps, a cursor that leads somewhere, and what is new', async () => {
  const counts = { lost: await bridge.metric('causeway_resumes_total', { result: 'lost' }) };
  const attacks = Object.entries({ ...UNREADABLE, ...LEADING_NOWHERE, ...FUTURE });
  for (const [name, cursor] of attacks) {
    const client = await connect(bridge, { user: ADMIN, query: { cursor } });
    assert.notEqual(client.welcome.cursor, cursor, name);
    assert.ok(isSigned(client.welcome.cursor), name);
    await client.expect('resumed');
    const gaps = gapsOf(client.messages);
    assert.ok(gaps.length > 0 && gaps.every((gap) => gap.reason === 'cursor' && gap.from === '0'), `${name}: ${JSON.stringify(gaps)}`);
    assert.deepEqual(gaps.filter((gap) => gap.topic === topic && gap.partition === 0).map(({ to }) => to), [String(lastId)], name);
    assert.deepEqual(idsOf(client.messages), [], name);
    await answersAsEver(client);
    client.terminate();
  }
  assert.equal(await bridge.metric('causeway_resumes_total', { result: 'lost' }), counts.lost + attacks.length);
});

test('in a message, what cannot be read is refused and says why, and what leads nowhere gets gaps', async () => {
  const client = await connect(bridge, { user: ADMIN });
  await client.ask({ type: 'leave-room', data: { roomId: 'admin-orders' } }, 'room-left');
  const doors = [
    (cursor) => ({ type: 'resume', data: { cursor } }),
    (cursor) => ({ type: 'resume', data: { cursor, rooms: ['admin-orders'] } }),
    (cursor) => ({ type: 'join-room', data: { roomId: 'admin-orders', cursor } }),
  ];
  for (const door of doors) {
    for (const [name, cursor] of Object.entries(UNREADABLE)) {
      const unsendable = cursor.includes('\u0000'); // strict JSON does not even take it
      const { data } = await client.ask(door(cursor), 'error');
      assert.deepEqual([data.code, unsendable ? '' : data.message], unsendable ? ['bad_json', ''] : ['bad_cursor', 'this is no cursor'], name);
    }
    for (const [name, cursor] of Object.entries(FUTURE)) {
      const { data } = await client.ask(door(cursor), 'error');
      assert.deepEqual([data.code, data.message], ['bad_cursor', 'this cursor is of a later version'], name);
    }
  }
  for (const cursor of [1, 1e30, true, {}, [], ['a']]) {
    assert.equal((await client.ask({ type: 'resume', data: { cursor } }, 'error')).data.code, 'bad_cursor', JSON.stringify(cursor));
  }
  assert.equal((await client.ask({ type: 'resume' }, 'error')).data.code, 'bad_cursor');
  for (const [name, cursor] of Object.entries(LEADING_NOWHERE)) {
    const before = client.messages.length;
    await client.ask({ type: 'resume', data: { cursor } }, 'resumed');
    const gaps = gapsOf(client.messages.slice(before));
    assert.ok(gaps.length > 0 && gaps.every((gap) => gap.reason === 'cursor'), name);
  }
  await client.ask({ type: 'join-room', data: { roomId: 'admin-orders', cursor: LEADING_NOWHERE['of an invented journal'] } }, 'room-joined');
  await answersAsEver(client);
  client.terminate();
});

test('a true cursor still works after all that, and so does one whose place in the log is invented', async () => {
  const missed = Array.from({ length: lastId - 10 }, (_, i) => 11 + i);
  const client = await connect(bridge, { user: ADMIN, query: { cursor: good } });
  await client.expect('resumed');
  assert.deepEqual(idsOf(client.messages), missed);
  client.terminate();
  // Right in all but the number of entries: beyond the log, so it is a place in Kafka.
  const checkpoint = Buffer.from(good, 'base64url')[7];
  const liar = await connect(bridge, { user: ADMIN, query: { cursor: forged(good, { checkpoint, ahead: 1n << 60n }) } });
  await liar.expect('resumed');
  await answersAsEver(liar);
  liar.terminate();
});

test('a cursor that makes the request too long is answered as any such request', async () => {
  const { status } = await attempt(bridge, { user: ADMIN, query: { cursor: 'A'.repeat(20_000) } });
  assert.equal(status, 414);
});

test('the neighbour saw every event, in order, and the bridges end in good health', async () => {
  await until('all orders', () => idsOf(neighbour.messages).length === lastId);
  assert.deepEqual(idsOf(neighbour.messages), Array.from({ length: lastId }, (_, i) => i + 1));
  assert.deepEqual(gapsOf(neighbour.messages), []);
  await world.finish();
});
