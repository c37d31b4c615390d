// What clients may send that they should not: each gets a clear answer, and the connection beside it feels nothing.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { bareClient, bareSocket, connect, frame, frameOf } from './lib/client.mjs';
import { ADMIN, BUYER, placeOrder } from './lib/orders.mjs';

const TEXT = 1, BINARY = 2, CONTINUATION = 0, CLOSE = 8, PING = 9, PONG = 10;

const world = await openWorld('input');
const bridge = await world.serve();
const neighbour = await connect(bridge, { user: ADMIN });

// The neighbour still gets an event that is published after the offence.
let offences = 0;
async function neighbourFeelsNothing() {
  const id = 1000 + ++offences;
  await placeOrder(world, { id });
  const event = await neighbour.expect('new-order');
  assert.equal(event.data.id, id);
}

const ANSWERED = [
  ['text that is not JSON', 'hello', 'bad_json'],
  ['an empty text', '', 'bad_json'],
  ['JSON that ends too early', '{"type":"ping"', 'bad_json'],
  ['JSON with something after it', '{"type":"ping"} x', 'bad_json'],
  ['JSON nested 10,000 deep', '['.repeat(10000), 'bad_json'],
  ['a NUL character in a string', '{"type":"\\u0000"}', 'bad_json'],
  ['one name twice in an object', '{"type":"ping","type":"ping"}', 'bad_json'],
  ['an array', '[1,2]', 'bad_message'],
  ['a number', '42', 'bad_message'],
  ['null', 'null', 'bad_message'],
  ['an object without type', '{"data":{}}', 'bad_message'],
  ['a type that is a number', '{"type":7}', 'bad_message'],
  ['an unknown type', '{"type":"make-me-admin"}', 'unknown_type'],
  ['an unknown type with an unusual name', '{"type":"\\u0001\\"<script>"}', 'unknown_type'],
  ['join-room without data', '{"type":"join-room"}', 'bad_message'],
  ['join-room without roomId', '{"type":"join-room","data":{}}', 'bad_message'],
  ['join-room with a roomId that is a number', '{"type":"join-room","data":{"roomId":5}}', 'bad_message'],
  ['leave-room without roomId', '{"type":"leave-room","data":null}', 'bad_message'],
];

for (const [what, message, code] of ANSWERED) {
  test(`${what} is answered with ${code}, and the connection goes on`, async () => {
    const client = await connect(bridge, { user: BUYER });
    const answer = await client.ask(message, () => true);
    assert.equal(answer.type, 'error');
    assert.equal(answer.data.code, code);
    assert.ok(answer.data.message.length > 0);
    assert.deepEqual(await client.ask({ type: 'ping' }, () => true), { type: 'pong' });
    await neighbourFeelsNothing();
    await client.close();
  });
}

const CLOSED = [
  ['a binary message', () => frame(BINARY, 'x'), 1003],
  ['text that is not UTF-8', () => frame(TEXT, Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1007],
  ['text with an overlong encoding', () => frame(TEXT, Buffer.from([0x22, 0xc0, 0xaf, 0x22])), 1007],
  ['text with half a surrogate pair', () => frame(TEXT, Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
  ['text that ends within a character', () => frame(TEXT, Buffer.from([0x22, 0xe2, 0x82])), 1007],
  ['a message of 1 MiB', () => frame(TEXT, JSON.stringify({ type: 'ping', pad: 'x'.repeat(1 << 20) })), 1009],
  ['a message of 1 MiB in fragments', () => Buffer.concat([
    frame(TEXT, 'x'.repeat(40000), { fin: false }), frame(CONTINUATION, 'x'.repeat(40000), { fin: false }), frame(CONTINUATION, 'x')]), 1009],
  ['the announcement of 8 EiB', () => frame(TEXT, 'x', { length: 2n ** 63n - 1n }), 1009],
  ['a frame without a mask', () => frame(TEXT, '{"type":"ping"}', { mask: false }), 1002],
  ['an unknown opcode', () => frame(3, 'x'), 1002],
  ['an unknown control opcode', () => frame(11, 'x'), 1002],
  ['a reserved bit', () => frame(TEXT, '{"type":"ping"}', { rsv: 4 }), 1002],
  ['a continuation of nothing', () => frame(CONTINUATION, 'x'), 1002],
  ['a new message within a fragmented one', () => Buffer.concat([frame(TEXT, '{', { fin: false }), frame(TEXT, '}')]), 1002],
  ['a fragmented ping', () => frame(PING, 'x', { fin: false }), 1002],
  ['a ping of 126 bytes', () => frame(PING, 'x'.repeat(126)), 1002],
  ['a close frame of one byte', () => frame(CLOSE, 'x'), 1002],
  ['a close code that must not be sent', () => frame(CLOSE, Buffer.from([0x03, 0xed])), 1002],
  ['a close code out of range', () => frame(CLOSE, Buffer.from([0x00, 0x05])), 1002],
  ['a close reason that is not UTF-8', () => frame(CLOSE, Buffer.from([0x03, 0xe8, 0xff])), 1007],
];

for (const [what, bytes, code] of CLOSED) {
  test(`${what} ends the connection with ${code}`, async () => {
    const bare = await bareClient(bridge, { user: BUYER });
    bare.write(bytes());
    const end = await frameOf(bare, (f) => f.opcode === CLOSE);
    assert.equal(end.code, code, end.reason);
    bare.write(frame(CLOSE, Buffer.from([code >> 8, code & 255])));
    await bare.closing();
    await neighbourFeelsNothing();
  });
}

const FINE = [
  ['a message in fragments', () => [frame(TEXT, '{"type"', { fin: false }), frame(CONTINUATION, ':"pi', { fin: false }), frame(CONTINUATION, 'ng"}')]],
  ['a message in empty fragments', () => [frame(TEXT, '', { fin: false }), frame(CONTINUATION, '{"type":"ping"}', { fin: false }), frame(CONTINUATION, '')]],
  ['a character cut by fragments', () => [frame(TEXT, Buffer.from('{"type":"ping","x":"\u20ac').subarray(0, -2), { fin: false }),
    frame(CONTINUATION, Buffer.concat([Buffer.from('\u20ac').subarray(1), Buffer.from('"}')]))]],
  ['a ping frame between fragments', () => [frame(TEXT, '{"type":', { fin: false }), frame(PING, 'now'), frame(CONTINUATION, '"ping"}')]],
  ['an unasked pong frame', () => [frame(PONG, 'what?'), frame(TEXT, '{"type":"ping"}')]],
  ['a message with unknown fields', () => [frame(TEXT, '{"x":[1,{"y":null}],"type":"ping","data":{"z":1e400}}')]],
  ['type written with escapes', () => [frame(TEXT, '{"\\u0074ype":"p\\u0069ng"}')]],
];

for (const [what, frames] of FINE) {
  test(`${what} is understood, also byte by byte`, async () => {
    const bare = await bareClient(bridge, { user: BUYER });
    bare.socket.setNoDelay(true);
    bare.write(Buffer.concat(frames()));
    await frameOf(bare, (f) => f.text === '{"type":"pong"}');
    for (const byte of Buffer.concat(frames())) {
      bare.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await frameOf(bare, (f) => f.text === '{"type":"pong"}');
    bare.destroy();
  });
}

test('a ping frame is answered with its own bytes', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  const payload = randomBytes(125);
  bare.write(frame(PING, payload));
  const pong = await frameOf(bare, (f) => f.opcode === PONG);
  assert.deepEqual(pong.payload, payload);
  bare.destroy();
});

test('a close frame is answered with its code, then the socket ends', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  bare.write(frame(CLOSE, Buffer.from([0x03, 0xe8])));
  const answer = await frameOf(bare, (f) => f.opcode === CLOSE);
  assert.equal(answer.code, 1000);
  await bare.closing();
});

test('a hundred messages in one write are answered in order', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  bare.write(Buffer.concat(Array.from({ length: 100 }, (_, i) => frame(TEXT, i % 2 ? '{"type":"ping"}' : 'no'))));
  let count = 0;
  await frameOf(bare, (f) => {
    if (f.opcode === TEXT) assert.match(f.text, count % 2 ? /"pong"/ : /"bad_json"/);
    return ++count === 100;
  });
  bare.destroy();
});

test('who sends without reading the answers is bounded and harms nobody', async () => {
  const bare = await bareClient(bridge, { user: BUYER });
  bare.socket.pause();
  const before = bridge.residentBytes();
  const burst = Buffer.concat(Array.from({ length: 2000 }, () => frame(TEXT, 'not json')));
  let written = 0;
  for (let i = 0; i < 200 && bare.socket.writableLength < 4 << 20; i++) {
    bare.write(burst);
    written += burst.length;
    await new Promise(setImmediate);
  }
  await neighbourFeelsNothing();
  assert.ok(written > 4 << 20, `wrote ${written}`);
  const grown = bridge.residentBytes() - before;
  assert.ok(grown < 32 << 20, `memory grew by ${grown >> 20} MiB`);
  bare.destroy();
});

// --- HTTP

const upgrade = (headers = {}, { path = `/?token=${token({ sub: BUYER })}`, method = 'GET', version = 'HTTP/1.1' } = {}) => {
  const all = {
    Host: 'x', Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': randomBytes(16).toString('base64'), 'Sec-WebSocket-Version': '13', ...headers,
  };
  const lines = Object.entries(all).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} ${version}\r\n${lines.join('')}\r\n`;
};

const HTTP = [
  ['an upgrade as it should be', upgrade(), [101]],
  ['header names and values in other cases', upgrade({ Upgrade: 'WebSocket', Connection: 'keep-alive, UPGRADE' }), [101]],
  ['an old version of the protocol', upgrade({ 'Sec-WebSocket-Version': '8' }), [426], /sec-websocket-version: 13/i],
  ['an upgrade without a key', upgrade({ 'Sec-WebSocket-Key': null }), [400]],
  ['an upgrade with a short key', upgrade({ 'Sec-WebSocket-Key': 'YQ==' }), [400]],
  ['an upgrade by POST', upgrade({}, { method: 'POST' }), [400, 405]],
  ['an upgrade of HTTP/1.0', upgrade({}, { version: 'HTTP/1.0' }), [400, 426, 505]],
  ['an upgrade to something else', upgrade({ Upgrade: 'h2c' }), [400, 404, 426]],
  ['an upgrade at an unknown path', upgrade({}, { path: '/nowhere' }), [404]],
  ['an unknown path', 'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n', [404]],
  ['a method nobody serves', 'DELETE /healthz HTTP/1.1\r\nHost: x\r\n\r\n', [400, 405, 501]],
  ['a header of 1 MiB', `GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(1 << 20)}\r\n\r\n`, [400, 431]],
  ['ten thousand headers', `GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10000)}\r\n`, [400, 431]],
  ['a target of 100 KiB', `GET /?token=${'x'.repeat(100 << 10)} HTTP/1.1\r\nHost: x\r\n\r\n`, [400, 414, 431]],
  ['what is no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', [400]],
  ['a line without a colon', 'GET /healthz HTTP/1.1\r\nHost x\r\n\r\n', [400]],
];

for (const [what, request, statuses, also] of HTTP) {
  test(`HTTP: ${what} is answered with ${statuses.join(' or ')}`, async () => {
    const bare = await bareSocket(bridge);
    bare.write(Buffer.from(request, 'latin1'));
    const { status, text } = await bare.answer();
    assert.ok(statuses.includes(status), text.slice(0, 300));
    if (also) assert.match(text, also);
    bare.destroy();
    await neighbourFeelsNothing();
  });
}

test('the neighbour saw every event of this file, in order, and the bridge ends in good health', async () => {
  assert.deepEqual(neighbour.of('new-order').map((m) => m.data.id), Array.from({ length: offences }, (_, i) => 1001 + i));
  await neighbour.close();
  await world.finish();
});
