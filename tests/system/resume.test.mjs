// A connection ends, a bridge dies, a reader sleeps for long: whoever comes back with the last cursor that it saw gets
// what it missed, and what it may have had before is marked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, MANAGER_OF_1, OTHER_BUYER, order, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('resume');
const LONG = 30000;
// A hot log of some hundred events of the size that `fill` publishes, and windows into Kafka's past that are no larger.
const SMALL = { HOT_LOG_BYTES: '512KiB', CATCH_UP_BYTES: '512KiB', EVENT_MAX_BYTES: '64KiB' };

// --- what a client does

// The whole rule: the last cursor that any message carried.
const cursorOf = (messages) => messages.findLast((m) => m.cursor !== undefined)?.cursor;
const eventsOf = (messages) => messages.filter((m) => ['new-order', 'order-created'].includes(m.type));
const idsOf = (messages) => eventsOf(messages).map((m) => m.data.id);
const gapsOf = (messages) => messages.filter((m) => m.type === 'gap').map((m) => m.data);
const offsetOf = (message) => Number(message.id.split(':').at(-2));
const upTo = (messages, id) => messages.slice(0, messages.findLastIndex((m) => m.data?.id === id && m.type !== 'gap') + 1);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

const haveAll = (client, last, timeout = LONG) => client.expect((m) => m.data?.id === last, timeout);
const comeBack = (bridge, cursor, { user = ADMIN, query = {} } = {}) => connect(bridge, { user, query: { cursor, ...query } });

// --- events: ids of a story are its own

let lastId = 0;
const nextIds = (count) => {
  const ids = range(lastId + 1, lastId + count);
  lastId += count;
  return ids;
};

// Among all that came. A resume is over at the head of what its instance has read; what is on its way there still follows.
const arrived = (client, id) => until(`event ${id}`, () => client.messages.some((m) => m.data?.id === id), { timeout: LONG });

// On partition 0, so that their order is certain, unless told otherwise; large enough to push others out of a small log.
async function fill(ids, { size = 1024, fields = {}, partitionOf = () => 0 } = {}) {
  for (let i = 0; i < ids.length; i += 400) {
    await world.kafka.produce(world.topic('orders.v1'), ...ids.slice(i, i + 400).map((id) => ({
      partition: partitionOf(id), headers: { ce_type: 'order.created' }, value: order({ id, comment: 'x'.repeat(size), ...fields }),
    })));
  }
}

// What came after a resume, against what should have: nothing is missing, what is older than that is marked, and what
// stood in one partition is in order. Returns how many repeats there were.
function assertResumed(messages, missed) {
  const events = eventsOf(messages);
  const repeats = events.filter((m) => m.data.id < missed[0]);
  assert.deepEqual(repeats.filter((m) => m.redelivered !== true).map((m) => m.id), [], 'a repeat that is not marked');
  const fresh = events.filter((m) => m.data.id >= missed[0]);
  assert.deepEqual(fresh.map((m) => m.data.id), missed, 'what was missed, in order and once');
  assert.deepEqual(gapsOf(messages), []);
  return repeats.length;
}

// --- on the same instance

test('who is cut and comes back to the same bridge gets exactly what it missed', async () => {
  const bridge = await world.serve();
  const before = await connect(bridge, { user: ADMIN });
  assert.match(before.welcome.cursor, /^[A-Za-z0-9_-]{1,64}$/);
  const ids = nextIds(60);
  await fill(ids.slice(0, 40), { size: 10 });
  await haveAll(before, ids[39]);
  before.terminate();
  // The cut came when it had dealt with 25 of them.
  const cursor = cursorOf(upTo(before.messages, ids[24]));
  await fill(ids.slice(40), { size: 10 });

  const after = await comeBack(bridge, cursor);
  assert.equal(after.welcome.cursor, cursor, 'connected repeats the cursor: cut again, nothing is lost');
  const resumed = await after.expect('resumed');
  assert.deepEqual(resumed.data, {});
  assert.match(resumed.cursor, /^[A-Za-z0-9_-]{1,64}$/);
  await arrived(after, ids.at(-1));
  assert.deepEqual(idsOf(after.messages), ids.slice(25));
  assert.deepEqual(after.messages.filter((m) => m.redelivered), []);
  assert.deepEqual(gapsOf(after.messages), []);
  const [live] = nextIds(1);
  await placeOrder(world, { id: live });
  assert.ok((await after.expect('new-order')).cursor);

  // From its start to now, and with what it had last: everything, and nothing.
  const all = await comeBack(bridge, before.welcome.cursor);
  await all.expect('resumed');
  await arrived(all, live); // its loop need not have come to what another one has
  assert.deepEqual(idsOf(all.messages), [...ids, live]);
  const none = await comeBack(bridge, cursorOf(after.messages));
  await none.expect('resumed');
  assert.deepEqual(idsOf(none.messages), []);
  await bridge.terminate();
});

test('all who receive an event get the same cursor with it, in the words of the contract', async () => {
  const bridge = await world.serve();
  const [one, two, buyer] = await Promise.all([ADMIN, ADMIN, BUYER].map((user) => connect(bridge, { user })));
  const [id] = nextIds(1);
  await placeOrder(world, { id });
  const [first, second] = [await one.expect('new-order'), await two.expect('new-order')];
  assert.equal(first.text, second.text);
  assert.deepEqual(Object.keys(first), ['type', 'id', 'time', 'data', 'cursor']);
  assert.match((await buyer.expect('order-created')).cursor, /^[A-Za-z0-9_-]{1,64}$/);
  await bridge.terminate();
});

test('a client that hears nothing resumes from the cursor that came with its ping', async () => {
  const bridge = await world.serve({ PING_INTERVAL: '1' });
  const other = await world.serve();
  const before = await connect(bridge, { user: BUYER });
  const [first, ...noise] = nextIds(51);
  await placeOrder(world, { id: first });
  const event = await before.expect('order-created');
  await fill(noise, { size: 10, fields: { user_id: OTHER_BUYER } });
  const witness = await connect(bridge, { user: ADMIN, query: { cursor: event.cursor } });
  await haveAll(witness, noise.at(-1));
  // Its loop comes to what it hears nothing of in its own time, which need not be the witness's.
  const { cursor, ...rest } = await before.expect((m) => m.type === 'cursor' && m.cursor !== event.cursor, LONG);
  assert.deepEqual(rest, { type: 'cursor' });
  assert.match(cursor, /^[A-Za-z0-9_-]{1,64}$/);
  before.terminate();
  const [missed] = nextIds(1);
  await placeOrder(world, { id: missed });
  for (const instance of [bridge, other]) {
    const after = await comeBack(instance, cursor, { user: BUYER });
    await after.expect('resumed', LONG);
    await until('what was missed, on an instance that may lag', () => idsOf(after.messages).length > 0);
    assert.deepEqual(idsOf(after.messages), [missed]);
    assert.deepEqual(gapsOf(after.messages), []);
  }
  await Promise.all([bridge.terminate(), other.terminate()]);
});

// --- on another instance

test('the event that brought the cursor does not come again elsewhere, though clients of Socket.IO get it under the same name', async () => {
  const [bridge, other] = await Promise.all([world.serve(), world.serve()]);
  const before = await connect(bridge, { user: BUYER });
  const [first, missed] = nextIds(2);
  await placeOrder(world, { id: first });
  const { cursor } = await before.expect('order-created');
  before.terminate();
  await placeOrder(world, { id: missed });
  const after = await comeBack(other, cursor, { user: BUYER });
  await after.expect('resumed', LONG);
  await arrived(after, missed);
  assert.deepEqual(eventsOf(after.messages).map((m) => [m.data.id, m.redelivered]), [[missed, undefined]]);
  await Promise.all([bridge.terminate(), other.terminate()]);
});

test('after kill -9 a new bridge goes on where the old one was: nothing is missing, repeats are marked', async () => {
  const bridge = await world.serve();
  const before = await connect(bridge, { user: ADMIN });
  const ids = nextIds(900);
  await fill(ids.slice(0, 300), { size: 10, partitionOf: (id) => id % 3 });
  await until('300 events', () => eventsOf(before.messages).length === 300);
  await bridge.kill();
  await fill(ids.slice(300, 600), { size: 10 });

  const next = await world.serve();
  const after = await comeBack(next, cursorOf(before.messages));
  await fill(ids.slice(600), { size: 10 });
  await haveAll(after, ids.at(-1));
  assertResumed(after.messages, ids.slice(300));
  assert.equal(after.of('resumed').length, 1);
  await next.terminate();
});

test('a bridge starts with a warm log: who comes back needs no second look into Kafka, and newcomers get nothing old', async () => {
  const bridge = await world.serve();
  const before = await Promise.all([1, 2, 3].map(() => connect(bridge, { user: ADMIN })));
  const ids = nextIds(600);
  await fill(ids.slice(0, 300), { size: 10, partitionOf: (id) => id % 3 });
  for (const client of before) await until('300 events', () => eventsOf(client.messages).length === 300);
  const [idle] = nextIds(1); // of a room in which nobody stands while it comes
  await placeOrder(world, { id: idle, user_id: OTHER_BUYER });
  await haveAll(before[0], idle);
  await bridge.kill();
  await fill(ids.slice(300), { size: 10, partitionOf: (id) => id % 3 });

  const next = await world.serve();
  const newcomer = await connect(next, { user: ADMIN });
  const after = await Promise.all(before.map((client) => comeBack(next, cursorOf(upTo(client.messages, ids[200])))));
  const buyer = await comeBack(next, cursorOf(upTo(before[0].messages, ids[200])), { user: OTHER_BUYER });
  for (const client of [...after, buyer]) await client.expect('resumed', LONG);
  for (const client of after) {
    const seen = new Set([...eventsOf(before[0].messages), ...eventsOf(client.messages)].map((m) => m.data.id));
    assert.ok(ids.every((id) => seen.has(id)), 'nothing is missing');
  }
  assert.ok(idsOf(buyer.messages).includes(idle));
  const [live] = nextIds(1);
  await placeOrder(world, { id: live });
  await newcomer.expect('new-order');
  assert.deepEqual(idsOf(newcomer.messages), [live]);
  assert.equal(await next.metric('causeway_replay_records_total'), 0);
  await next.terminate();
});

test('a second instance that runs beside knows the cursors of the first', async () => {
  const [one, two] = await Promise.all([world.serve(), world.serve()]);
  const before = await connect(one, { user: ADMIN });
  const ids = nextIds(300);
  await fill(ids.slice(0, 200), { size: 10 });
  await haveAll(before, ids[199]);
  await fill(ids.slice(200), { size: 10 });
  await haveAll(before, ids.at(-1));
  for (const place of [0, 77, 199, 299]) {
    const after = await comeBack(two, cursorOf(upTo(before.messages, ids[place])));
    await after.expect('resumed', LONG);
    const expected = ids.slice(place + 1);
    if (expected.length > 0) await arrived(after, expected.at(-1));
    const repeats = expected.length > 0 ? assertResumed(after.messages, expected) : eventsOf(after.messages).length;
    // One partition has moved: the cursor has room to name its offset, and only the event at the cursor is in doubt.
    assert.ok(repeats <= 1, `${repeats} repeats after event ${place}`);
    await after.close();
  }
  await Promise.all([one.terminate(), two.terminate()]);
});

// --- older than the hot log

test('what has left the hot log comes from Kafka, all of it and in order', async () => {
  const bridge = await world.serve(SMALL);
  const before = await connect(bridge, { user: ADMIN });
  const ids = nextIds(3000);
  await fill(ids.slice(0, 10));
  await haveAll(before, ids[9]);
  before.terminate();
  await fill(ids.slice(10));
  const clients = await Promise.all([1, 2, 3].map(() => comeBack(bridge, cursorOf(before.messages))));
  for (const after of clients) {
    await after.expect('resumed', LONG);
    assertResumed(after.messages, ids.slice(10));
  }
  assert.ok((await bridge.metric('causeway_replay_records_total')) > 1000, 'Kafka was read again');
  const [live] = nextIds(1);
  await placeOrder(world, { id: live });
  for (const after of clients) assert.equal((await after.expect('new-order')).data.id, live);
  await bridge.terminate();
});

test('a line that is cut every 100 events gets to the end of a replay of 3000', async () => {
  const bridge = await world.serve(SMALL);
  const before = await connect(bridge, { user: ADMIN });
  const ids = nextIds(3000);
  let cursor = before.welcome.cursor;
  before.terminate();
  await fill(ids);
  const seen = new Map();
  let rounds = 0;
  while (seen.size < ids.length) {
    rounds += 1;
    assert.ok(rounds <= 60, `${seen.size} events after ${rounds} connections`);
    const client = await comeBack(bridge, cursor);
    await until('100 events, or the end', () => eventsOf(client.messages).length >= 100 || client.of('resumed').length > 0, { timeout: LONG });
    client.terminate();
    const last = eventsOf(client.messages).slice(0, 100).at(-1);
    const read = client.messages.slice(0, client.messages.indexOf(last) + 1);
    for (const event of eventsOf(read)) {
      if (seen.has(event.id)) assert.equal(event.redelivered, true, `${event.id} in round ${rounds}`);
      if (event.data.id < ids[0]) assert.equal(event.redelivered, true, `${event.id}, which is older than the cursor`);
      else seen.set(event.id, event.data.id);
    }
    assert.deepEqual(gapsOf(read), []);
    cursor = cursorOf(read);
  }
  assert.deepEqual([...seen.values()], ids);
  await bridge.terminate();
});

test('what Kafka itself no longer has is named by a gap, and the rest follows', async () => {
  const bridge = await world.serve(SMALL);
  const before = await connect(bridge, { user: ADMIN });
  const ids = nextIds(2000);
  const GONE = 500; // the hot log holds the last thousand or so, also of what Kafka no longer has
  await fill(ids.slice(0, 10));
  await haveAll(before, ids[9]);
  before.terminate();
  const first = offsetOf(eventsOf(before.messages)[0]); // of ids[0]; further offsets follow the ids
  await fill(ids.slice(10));
  await world.kafka.admin.deleteTopicRecords({ topic: world.topic('orders.v1'), partitions: [{ partition: 0, offset: String(first + GONE) }] });

  const after = await comeBack(bridge, cursorOf(before.messages));
  await after.expect('resumed', LONG);
  const [{ from, ...gap }, ...more] = gapsOf(after.messages);
  assert.deepEqual(gap, { topic: world.topic('orders.v1'), partition: 0, to: String(first + GONE), reason: 'retention' });
  assert.ok(Number(from) <= first + 10, `from ${from}: it may begin before what was missed, not behind`);
  assert.deepEqual(more, [], 'told once');
  assert.deepEqual(idsOf(after.messages), ids.slice(GONE));
  assert.ok(after.messages.findIndex((m) => m.type === 'gap') < after.messages.findIndex((m) => m.type === 'new-order'), 'first the gap');
  assert.ok((await bridge.metric('causeway_gaps_total', { reason: 'retention' })) >= 1);
  await bridge.terminate();
});

// --- cursors that lead nowhere

test('a cursor that is forged, or of another installation, gets gaps and then what is new', async () => {
  const [bridge, elsewhere] = await Promise.all([world.serve(), world.serve({ CHECKPOINT_TOPIC: 'resume.other-checkpoints' })]);
  const stranger = await connect(elsewhere, { user: ADMIN });
  const cursors = { foreign: stranger.welcome.cursor, forged: 'not-a-cursor', cut: stranger.welcome.cursor.slice(0, -4), empty: 'AA' };
  for (const [name, cursor] of Object.entries(cursors)) {
    const [{ high }] = (await world.kafka.admin.fetchTopicOffsets(world.topic('orders.v1'))).filter((p) => p.partition === 0);
    const client = await comeBack(bridge, cursor);
    assert.notEqual(client.welcome.cursor, cursor, `${name}: connected brings one that leads somewhere`);
    await client.expect('resumed');
    const gaps = gapsOf(client.messages);
    // All there was: what lies behind `to` follows, and here nothing does.
    assert.deepEqual(gaps.filter((gap) => gap.topic === world.topic('orders.v1') && gap.partition === 0), [
      { topic: world.topic('orders.v1'), partition: 0, from: '0', to: high, reason: 'cursor' }], name);
    assert.deepEqual(gaps.filter((gap) => gap.reason !== 'cursor' || gap.from !== '0'), [], name);
    assert.deepEqual(idsOf(client.messages), [], name);
    const [id] = nextIds(1);
    await placeOrder(world, { id });
    assert.equal((await client.expect('new-order')).data.id, id);
    // Cut now, it goes on like any other.
    client.terminate();
    const again = await comeBack(bridge, cursorOf(client.messages));
    await again.expect('resumed');
    assert.deepEqual(idsOf(again.messages), []);
    assert.deepEqual(gapsOf(again.messages), []);
    again.terminate();
  }
  const badlyEncoded = await connect(bridge, { user: ADMIN, raw: '&cursor=%zz' });
  await badlyEncoded.expect('resumed');
  assert.ok(gapsOf(badlyEncoded.messages).length > 0, 'taken for no cursor');
  badlyEncoded.terminate();
  const client = await connect(bridge, { user: ADMIN });
  for (const message of [{ type: 'resume', data: { cursor: 'not-a-cursor' } }, { type: 'resume', data: {} }, { type: 'resume' }]) {
    assert.equal((await client.ask(message, 'error')).data.code, 'bad_cursor', JSON.stringify(message));
  }
  await client.ask({ type: 'leave-room', data: { roomId: 'admin-orders' } }, 'room-left');
  const { data } = await client.ask({ type: 'join-room', data: { roomId: 'admin-orders', cursor: 'not-a-cursor' } }, 'error');
  assert.equal(data.code, 'bad_cursor');
  assert.equal(data.roomId, 'admin-orders');
  await Promise.all([bridge.terminate(), elsewhere.terminate()]);
});

// --- on an open connection

test('resume on an open connection brings what was missed as backfill, then goes on live', async () => {
  const bridge = await world.serve();
  const before = await connect(bridge, { user: ADMIN });
  const ids = nextIds(40);
  await fill(ids.slice(0, 10), { size: 10 });
  await haveAll(before, ids[9]);
  before.terminate();
  await fill(ids.slice(10, 30), { size: 10 });
  const witness = await connect(bridge, { user: ADMIN, query: { cursor: cursorOf(before.messages) } });
  await haveAll(witness, ids[29]);

  const client = await connect(bridge, { user: ADMIN });
  client.send({ type: 'resume', data: { cursor: cursorOf(before.messages) } });
  await fill(ids.slice(30), { size: 10 });
  const resumed = await client.expect('resumed');
  await haveAll(client, ids.at(-1));
  const events = eventsOf(client.messages);
  const [walked, own] = [events.filter((m) => m.backfill), events.filter((m) => !m.backfill)];
  assert.deepEqual(events.map((m) => m.data.id), ids.slice(10), 'each once');
  assert.ok(walked.length >= 20);
  for (const event of walked) {
    assert.equal(event.redelivered, true);
    assert.equal(event.cursor, undefined);
  }
  for (const event of own) {
    assert.equal(event.redelivered, undefined);
    assert.ok(event.cursor);
  }
  const end = client.messages.indexOf(resumed);
  assert.ok(walked.every((m) => client.messages.indexOf(m) < end), 'backfill, then resumed');
  assert.ok(own.every((m) => client.messages.indexOf(m) > end), 'resumed, then what is new');
  await bridge.terminate();
});

test('join-room with a cursor brings what the room had since then, then room-joined', async () => {
  const bridge = await world.serve();
  const room = { roomId: 'admin-orders' };
  const client = await connect(bridge, { user: ADMIN });
  await client.ask({ type: 'leave-room', data: room }, 'room-left');
  const cursor = cursorOf(client.messages);
  const ids = nextIds(22);
  await fill(ids.slice(0, 20), { size: 10 });
  await fill([ids[20]], { size: 10, fields: { user_id: ADMIN } });
  await client.expect('order-created');
  assert.deepEqual(client.of('new-order'), []);
  const joined = await client.ask({ type: 'join-room', data: { ...room, cursor } }, 'room-joined');
  assert.deepEqual(joined.data, room);
  const walked = client.of('new-order');
  assert.deepEqual(walked.map((m) => m.data.id), ids.slice(0, 21));
  assert.deepEqual(walked.filter((m) => !m.backfill || !m.redelivered || m.cursor), []);
  await placeOrder(world, { id: ids[21] });
  const live = await client.expect('new-order');
  assert.equal(live.data.id, ids[21]);
  assert.ok(live.cursor && !live.backfill && !live.redelivered);
  await bridge.terminate();
});

test('what a join brought does not come again after a cut, though no event of its own brought a cursor since', async () => {
  const [bridge, other] = await Promise.all([world.serve(), world.serve()]);
  const [client, witness] = await Promise.all([1, 2].map(() => connect(bridge, { user: ADMIN })));
  await client.ask({ type: 'leave-room', data: { roomId: 'admin-orders' } }, 'room-left');
  const { cursor } = client.welcome;
  const ids = nextIds(20);
  await fill(ids, { size: 10 });
  await haveAll(witness, ids.at(-1));
  await client.ask({ type: 'join-room', data: { roomId: 'admin-orders', cursor } }, 'room-joined');
  assert.deepEqual(client.of('new-order').map((m) => m.data.id), ids);
  client.terminate();
  const [missed] = nextIds(1);
  await placeOrder(world, { id: missed });
  for (const instance of [bridge, other]) {
    const after = await comeBack(instance, cursorOf(client.messages));
    await after.expect('resumed', LONG);
    await arrived(after, missed);
    assert.deepEqual(idsOf(after.messages), [missed]);
  }
  await Promise.all([bridge.terminate(), other.terminate()]);
});

// --- rooms that are joined on request

test('rooms on request are named beside the cursor, and are joined before anything is replayed', async () => {
  const onRequest = (text) => text.replace(/('city-\{city_id\}-orders':\n +join:) automatic/, '$1 request');
  const asking = await openWorld('resume-rooms', { changes: { 'rooms.yaml': onRequest } });
  const bridge = await asking.serve();
  const rooms = 'city-1-orders,city-2-orders';
  const before = await connect(bridge, { user: MANAGER_OF_1 });
  await before.ask({ type: 'join-room', data: { roomId: 'city-1-orders' } }, 'room-joined');
  await placeOrder(asking, { id: 1 });
  await before.expect('new-order');
  before.terminate();
  for (const id of [2, 3]) await placeOrder(asking, { id });
  const bare = await comeBack(bridge, cursorOf(before.messages), { user: MANAGER_OF_1 });
  await bare.expect('resumed');
  assert.deepEqual(idsOf(bare.messages), [], 'nothing that was not asked for');
  const after = await comeBack(bridge, cursorOf(before.messages), { user: MANAGER_OF_1, query: { rooms } });
  await after.expect('resumed');
  assert.deepEqual(idsOf(after.messages), [2, 3]);
  assert.deepEqual(after.of('room-joined').map((m) => m.data.roomId), ['city-1-orders']);
  assert.deepEqual(after.of('error').map((m) => [m.data.code, m.data.roomId]), [['forbidden', 'city-2-orders']]);
  assert.equal(after.messages[0].type, 'connected');
  await asking.finish();
});

test('the bridges end in good health', () => world.finish());
