// Packets of Socket.IO that should not be: each ends its own connection, on either transport, and harms nobody else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { Session, Wire } from './lib/engineio.mjs';
import { BUYER, OTHER_BUYER } from './lib/orders.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio_packets', { catalogue: seedsCatalogue() });
const bridge = await world.serve();

const connected = async (user = BUYER) => {
  const wire = await Wire.open(bridge);
  await wire.next('0');
  await wire.connect(user);
  return wire;
};

const neighbour = await connected(OTHER_BUYER);
let published = 0;
async function nextClientIsServed() {
  const client = await connected(BUYER);
  const n = ++published;
  await world.publish('tasks.v1', 'task.updated', { id: 'task-1', assigneeId: BUYER, n });
  await world.publish('tasks.v1', 'task.updated', { id: 'task-1', assigneeId: OTHER_BUYER, n });
  await client.next(`42["task.updated",{"id":"task-1","assigneeId":${BUYER},"n":${n}}`);
  await neighbour.next(`42["task.updated",{"id":"task-1","assigneeId":${OTHER_BUYER},"n":${n}}`);
  client.drop();
}

const placeholder = (num) => `{"_placeholder":true,"num":${num}}`;
/* Strings are text messages, buffers bytes; all in one POST, or one WebSocket message each. */
const MALFORMED = [
  ['an unknown type', '4abc'],
  ['a message without anything', '4'],
  ['a type beyond the known ones', '47["x"]'],
  ['an event that is an object', '42{}'],
  ['an event without a name', '42[]'],
  ['an event named null', '42[null]'],
  ['an event named by an array', '42[["x"]]'],
  ['an event without payload', '42'],
  ['an event with letters before it', '42abc["x"]'],
  ['bad JSON', '42["x"'],
  ['JSON with something after it', '42["x"]]'],
  ['JSON nested 10,000 deep', `42["x",${'['.repeat(10000)}${']'.repeat(10000)}]`],
  ['a lone surrogate', '42["\\ud800"]'],
  ...['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'].map((name) => [`an event named ${name}`, `42["${name}"]`]),
  ['a CONNECT with an array', '40/chat,[]'],
  ['a CONNECT with a text', '40/chat,"s"'],
  ['a second CONNECT', '40{}'],
  ['a DISCONNECT with payload', '41{}'],
  ['a CONNECT_ERROR', '44{"message":"x"}'],
  ['an ACK that is no array', '431{}'],
  ['an event to a namespace that was not joined', '42/chat,["x"]'],
  ['an ACK to a namespace that is not there', '43/nope,1[]'],
  ['a namespace of 10 KB', `40/${'n'.repeat(10000)},{}`],
  ['an ack id of 30 digits', `42${'9'.repeat(30)}["ping"]`],
  ['attachments without a dash', '451["x"]'],
  ['no attachments', '450-["x"]'],
  ['eleven attachments', '4511-["x"]'],
  ['billions of attachments', '459999999999-["x"]'],
  ['letters for attachments', '45x-["x"]'],
  ['bytes that no packet announced', Buffer.from('abc')],
  ['text while bytes are missing', `452-["x",${placeholder(0)},${placeholder(1)}]`, Buffer.from('a'), '42["ping"]'],
  ['a placeholder out of range', `451-["x",${placeholder(1)}]`, Buffer.from('a')],
  ['a placeholder below zero', `451-["x",${placeholder(-1)}]`, Buffer.from('a')],
  ['a placeholder that is no number', `451-["x",${placeholder('"0"')}]`, Buffer.from('a')],
];

const record = (part) => (Buffer.isBuffer(part) ? `b${part.toString('base64')}` : part);

for (const [what, ...parts] of MALFORMED) {
  test(`${what} ends the connection, on WebSocket and polling, and the next client is served`, async () => {
    const wire = await connected();
    for (const part of parts) wire.send(part);
    assert.equal(await wire.closing(), 1002);
    for (const body of [parts.map(record).join('\x1e'), ['3', ...parts.map(record), '421["ping"]'].join('\x1e')]) {
      const session = await Session.open(bridge, { user: BUYER });
      assert.equal((await session.post(body)).body, 'ok');
      await session.isGone();
      session.drop();
    }
    await nextClientIsServed();
  });
}

test('an event before CONNECT ends the connection, and bad base64 too', async () => {
  const wire = await Wire.open(bridge);
  wire.send('42["ping"]');
  assert.equal(await wire.closing(), 1002);
  const session = await Session.open(bridge, { user: BUYER });
  await session.post(`451-["x",${placeholder(0)}]\x1eb!!!`);
  await session.isGone();
  session.drop();
});

test('text that is not UTF-8 ends a WebSocket with 1007, and a polling session', async () => {
  const bad = Buffer.from([...Buffer.from('42["'), 0xc3, 0x28, ...Buffer.from('"]')]);
  const wire = await connected();
  wire.socket.send(bad, { binary: false });
  assert.equal(await wire.closing(), 1007);
  const session = await Session.open(bridge, { user: BUYER });
  assert.equal((await session.post(bad)).body, 'ok');
  await session.isGone();
  session.drop();
});

const HARMLESS = [
  ['an acknowledgement that nobody waits for', '4399[]'],
  ['an acknowledgement with bytes', `461-1[${placeholder(0)}]`, Buffer.from('x')],
  ['attachments that no placeholder names', '451-["ping"]', Buffer.from('x')],
  ['the same placeholder twice', `451-["ping",${placeholder(0)},${placeholder(0)}]`, Buffer.from('x')],
  ['a CONNECT to an unknown namespace with a newline', '40/nope,\n'],
  ['an event named by a number', '42[1]'],
];
for (const [what, ...parts] of HARMLESS) {
  test(`${what} is tolerated`, async () => {
    const wire = await connected();
    for (const part of parts) wire.send(part);
    wire.send('425["ping"]');
    assert.equal(await wire.next('435'), '435[{"ok":true}]');
    wire.drop();
    const session = await Session.open(bridge, { user: BUYER });
    assert.equal((await session.post([...parts.map(record), '425["ping"]'].join('\x1e'))).body, 'ok');
    assert.equal(await session.packet('435'), '435[{"ok":true}]');
    session.drop();
  });
}

test('ack ids come back as they were', async () => {
  const wire = await connected();
  for (const id of ['0', '1', '2147483648', '9007199254740993', '1']) {
    wire.send(`42${id}["ping"]`);
    assert.equal(await wire.next('43'), `43${id}[{"ok":true}]`);
  }
  wire.drop();
});

test('characters beyond ASCII and the separator of polls pass unchanged on both transports', async () => {
  const title = 'é€😀\x1e"\\';
  const wire = await connected();
  const session = await Session.open(bridge, { user: BUYER });
  await world.publish('tasks.v1', 'task.updated', { id: 'task-1', assigneeId: BUYER, title });
  for (const packet of [await wire.next('42["task.updated"'), await session.packet('42["task.updated"')]) {
    assert.deepEqual(JSON.parse(packet.slice(2)), ['task.updated', { id: 'task-1', assigneeId: BUYER, title }]);
  }
  for (const ask of [async (text) => {
    wire.send(text);
    return wire.next('431');
  }, async (text) => {
    await session.post(text);
    return session.packet('431');
  }]) {
    const [{ error }] = JSON.parse((await ask('421["subscribe.task",{"taskId":"é€😀"}]')).slice(3));
    assert.equal(error.roomId, 'task:é€😀');
  }
  wire.drop();
  session.drop();
});

test('an unknown event is answered when it asks, and named in an error when not', async () => {
  const wire = await connected();
  wire.send('421["make.coffee",{}]');
  const answer = JSON.parse((await wire.next('431')).slice(3));
  assert.deepEqual([answer[0].ok, answer[0].error.code], [false, 'unknown_event']);
  wire.send('42["make.coffee",{}]');
  assert.equal(JSON.parse((await wire.next('42["error"')).slice(2))[1].code, 'unknown_event');
  wire.drop();
});

test('finish', () => world.finish());
