// The document kept by the bridge: every example of every message that services publish goes through Kafka, reaches all
// who have a right to it, just once and as the document describes it, nobody else, and again who was cut off meanwhile.
// Who has a right is worked out by lib/audience.mjs from the document and the database.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { io } from 'socket.io-client';
import { messageOf, readCatalogue, validator } from '../../tools/catalogue.mjs';
import { openWorld, token } from '../system/lib/bridge.mjs';
import { connect } from '../system/lib/client.mjs';
import { until } from '../system/lib/processes.mjs';
import { Rights, roomsOfRecord } from './lib/audience.mjs';

const world = await openWorld('events', { partitions: 1 });
const catalogue = readCatalogue(world.catalogue);
let asking = Promise.resolve(); // one question to the database at a time
const rights = new Rights(catalogue.rights, (sql, params) => { asking = asking.then(() => world.sql(sql, params)); return asking; });
const bridge = await world.serve({ LOOPS: '1', ACK_TIMEOUT: '3600' });

const lanes = catalogue.channels.filter(({ kafka }) => !kafka).map((channel) => ({
  ...channel,
  payload: channel.channel['x-causeway']?.payload ?? 'data',
  checks: Object.fromEntries(channel.messages.map(({ name, message }) => [name, validator(message.payload)])),
}));
const laneOf = (key) => lanes.find((lane) => lane.key === key);
const routed = catalogue.operations.filter(({ route }) => route);

// --- what is published: one record per example, and the operations under which it leaves

const records = catalogue.channels.filter(({ kafka }) => kafka).flatMap((channel) => channel.messages
  .flatMap(({ key, message }) => message.examples.map((example) => ({
    name: `${channel.key}/${key}/${example.name}`,
    topic: channel.address,
    key: example.headers.ce_partitionkey,
    headers: example.headers,
    payload: example.payload,
    operations: routed.filter(({ route }) => route.from.some((from) => from.channel === channel.key && from.message === key)),
  }))));

const deliveries = records.flatMap((record) => record.operations.map((operation) => ({
  record,
  operation,
  lane: laneOf(operation.channel),
  type: messageOf(catalogue, operation.messages[0]).name,
  rooms: roomsOfRecord(operation.route.to, record),
  except: roomsOfRecord(operation.route.except, record),
})));

// --- who is there: each person on each channel, once all the time and once cut off while it happens

const people = await Promise.all((await world.sql('SELECT id FROM users ORDER BY id')).map(({ id }) => rights.person(id)));

// The official Socket.IO client, where the channel is a namespace too.
async function openSocket(lane, user, joined) {
  const socket = io(`http://127.0.0.1:${bridge.port}${lane.address}`, { auth: { token: token({ sub: user }) }, forceNew: true });
  socket.events = [];
  socket.onAny((type, ...values) => socket.events.push({ type, values }));
  await new Promise((done, failed) => { socket.once('connect', done).once('connect_error', failed); });
  for (const roomId of joined) assert.deepEqual(await socket.emitWithAck('join-room', { roomId }), { ok: true, roomId });
  return socket;
}

async function standOn(lane, person) {
  const user = person['user.id'];
  const asked = new Set(deliveries.filter((d) => d.lane === lane).flatMap((d) => d.rooms));
  const joined = [];
  for (const room of asked) if (await rights.mayJoin(person, lane.key, room)) joined.push(room);
  const rooms = new Set([...await rights.automatic(person, lane.key), ...joined]);
  const live = await connect(bridge, { user, path: lane.address });
  const cut = await connect(bridge, { user, path: lane.address });
  for (const room of joined) await live.ask({ type: 'join-room', [lane.payload]: { roomId: room } }, 'room-joined');
  cut.terminate();
  const socket = lane.channel['x-causeway']?.namespace ? await openSocket(lane, user, joined) : null;
  return { user, lane, rooms, joined, live, socket, cursor: cut.welcome.cursor };
}

const places = (await Promise.all(lanes.map((lane) => Promise.all(people.map((person) => standOn(lane, person)))))).flat();

const entitled = ({ lane, rooms, except }, place) => place.lane === lane
  && rooms.some((room) => place.rooms.has(room)) && !except.some((room) => place.rooms.has(room));
const theirs = (delivery) => places.filter((place) => entitled(delivery, place));
const others = (delivery) => places.filter((place) => place.lane === delivery.lane && !entitled(delivery, place));

// --- it happens

for (const record of records) {
  const { topic, key, headers, payload } = record;
  const [{ baseOffset }] = await world.kafka.produce(topic, { key, headers, value: payload, partition: 0 });
  record.id = `${topic}:0:${baseOffset}:`;
}

const FOR_ALL = ['everyone', 'feed-public'];

const received = (client, { type, record }) => client.messages.filter((message) => message.type === type && message.id?.startsWith(record.id));

const receivedBy = (socket, { type, record }) => (socket?.events ?? [])
  .filter((event) => event.type === type && isDeepStrictEqual(event.values, [record.payload]));

const missing = () => deliveries.flatMap((delivery) => theirs(delivery)
  .filter(({ live, socket }) => received(live, delivery).length === 0 || (socket && receivedBy(socket, delivery).length === 0)).map(({ user }) => `${delivery.record.name} as ${delivery.type} to ${user}`));
const late = await until('everybody to have what is theirs', () => missing().length === 0, { timeout: 15000 }).then(() => [], missing);
// What one loop delivers it delivers in one turn, to everybody; and on one connection the answer comes behind it.
await Promise.all(places.map(({ live }) => live.ask({ type: 'ping' }, 'pong')));
await Promise.all(places.map(({ socket }) => socket?.emitWithAck('ping', {})));

async function comeBack(place) {
  const query = { cursor: place.cursor, rooms: place.joined.join(',') };
  place.resumed = await connect(bridge, { user: place.user, path: place.lane.address, query });
  await place.resumed.expect('resumed', 20000);
}
await Promise.all(places.map(comeBack));

// --- the verdicts

describe('every example of what services publish', () => {
  test('has reached everybody in time', () => assert.deepEqual(late, []));

  for (const delivery of deliveries) {
    const { record, type, lane, operation } = delivery;
    const describedBy = (message) => lane.checks[type](message);

    test(`${record.name}, as ${type} on ${lane.address}`, () => {
      const [right, wrong] = [theirs(delivery), others(delivery)];
      assert.ok(right.length > 0, 'somebody among the example rows gets it');
      assert.ok(wrong.length > 0 || delivery.rooms.some((room) => FOR_ALL.includes(room)), 'somebody does not');
      for (const { user, live, socket, resumed } of right) {
        if (socket) assert.equal(receivedBy(socket, delivery).length, 1, `${user} gets it once by Socket.IO`);
        const [event, ...more] = received(live, delivery);
        assert.ok(event, `${user} gets it`);
        assert.equal(more.length, 0, `${user} gets it once`);
        assert.deepEqual(describedBy(event), [], `${user} gets it as described`);
        assert.ok(event.text.includes(`"${lane.payload}":${JSON.stringify(record.payload)}`), 'byte for byte');
        const again = received(resumed, delivery);
        assert.deepEqual(again.map(({ id }) => id), operation.route.ephemeral ? [] : [event.id], `${user} gets it after a cut`);
        for (const message of again) assert.deepEqual(describedBy(message), [], `${user} gets it after a cut as described`);
      }
      for (const { user, live, socket, resumed } of wrong) {
        assert.deepEqual(receivedBy(socket, delivery), [], `${user} has no right to it by Socket.IO`);
        assert.deepEqual([...received(live, delivery), ...received(resumed, delivery)], [], `${user} has no right to it`);
      }
    });
  }

  test('leaves in the order of each topic', () => {
    const offset = ({ id }) => id.split(':').slice(0, 3);
    for (const { live, resumed } of places) {
      for (const { messages } of [live, resumed]) {
        const last = {};
        for (const [topic, partition, at] of messages.filter(({ id }) => id).map(offset)) {
          assert.ok((last[topic + partition] ?? -1) <= Number(at), `${topic} at ${at}`);
          last[topic + partition] = Number(at);
        }
      }
    }
  });

  test('is all that came, besides messages that the document describes', () => {
    for (const { lane, live, resumed } of places) {
      for (const message of [...live.messages, ...resumed.messages]) {
        assert.ok(lane.checks[message.type], `${message.type} on ${lane.address}`);
        assert.deepEqual(lane.checks[message.type](message), [], message.text);
      }
    }
  });
});

describe('every example of what clients get', () => {
  for (const operation of routed) {
    const { name, message } = messageOf(catalogue, operation.messages[0]);
    test(`${operation.channel}/${name} shows what an example of its source becomes`, () => {
      const payloads = operation.route.from.flatMap((from) => messageOf(catalogue, from).message.examples.map(({ payload }) => payload));
      for (const { payload: example } of message.examples) {
        const data = example[laneOf(operation.channel).payload];
        const part = (whole) => Object.fromEntries(Object.keys(data).map((key) => [key, whole[key]]));
        assert.ok(payloads.some((payload) => JSON.stringify(part(payload)) === JSON.stringify(data)), JSON.stringify(data));
      }
    });
  }
});

describe('every example of what clients send', () => {
  // Tokens and cursors of the examples are made up; the rest is sent as it stands.
  const real = (value, user, welcome) => JSON.parse(JSON.stringify(value, (key, member) => {
    if (key === 'token') return token({ sub: user });
    return key === 'cursor' ? welcome.cursor : member;
  }));

  async function say(lane, operation, name, user, example) {
    const answers = operation.replies.map((reply) => messageOf(catalogue, reply).name);
    const waiting = name === 'auth'; // the only one that is for who has not said who he is
    const client = await connect(bridge, { user: waiting ? undefined : user, path: lane.address, welcome: !waiting });
    const silent = answers.every((type) => type === 'error'); // what follows is answered then
    client.send(real(example.payload, user, client.welcome));
    if (silent) client.send({ type: 'ping' });
    const answer = await client.expect(({ type }) => answers.includes(type) || (silent && type === 'pong'));
    assert.deepEqual(lane.checks[answer.type](answer), []);
    client.terminate();
    return answer;
  }

  for (const lane of lanes) {
    const receiving = catalogue.operations.filter(({ action, channel }) => action === 'receive' && channel === lane.key);
    for (const operation of receiving) {
      const sent = operation.messages.map((reference) => messageOf(catalogue, reference));
      for (const { name, example } of sent.flatMap(({ name, message }) => message.examples.map((example) => ({ name, example })))) {
        test(`${lane.key}/${name}/${example.name} is granted to somebody, in the words of the document`, async () => {
          const refused = [];
          for (const person of people) {
            const answer = await say(lane, operation, name, person['user.id'], example);
            if (answer.type !== 'error') return;
            refused.push(answer.text);
          }
          assert.fail(refused.join('\n'));
        });
      }
    }
  }
});

describe('rooms on request', () => {
  for (const lane of lanes) {
    const rooms = new Set(deliveries.filter((d) => d.lane === lane).flatMap((d) => d.rooms));
    const asked = [...rooms].filter((room) => places.some(({ joined }) => joined.includes(room)));
    for (const room of asked) {
      test(`${room} on ${lane.address} is closed to who has no right to it`, async () => {
        const without = places.filter((place) => place.lane === lane && !place.rooms.has(room));
        assert.ok(without.length > 0, 'somebody has none');
        for (const { user, live } of without) {
          const answer = await live.ask({ type: 'join-room', [lane.payload]: { roomId: room } }, ({ type }) => ['error', 'room-joined'].includes(type));
          assert.equal(answer[lane.payload].code, 'forbidden', `${user}: ${answer.text}`);
        }
      });
    }
  }
});

test('the bridge ends in good health', async () => {
  for (const { live, socket, resumed } of places) {
    for (const client of [live, resumed]) client.terminate();
    socket?.disconnect();
  }
  await world.finish();
});
