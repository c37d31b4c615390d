// Engine.IO as clients of all languages speak it, by hand: requests and their faults, polling, the way to WebSocket,
// heartbeats, other origins. What the official suite tests is here too, and what the suite does not know.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld } from './lib/bridge.mjs';
import { Line, Session, Wire, request } from './lib/engineio.mjs';
import { BUYER } from './lib/orders.mjs';
import { sleep, until } from './lib/processes.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('engineio', { catalogue: seedsCatalogue() });
const LIMIT = 1024;
const bridge = await world.serve({ MESSAGE_MAX_BYTES: String(LIMIT), FRONTEND_URL: 'http://app.example' });

const fault = (code, message) => ({ status: code === 4 ? 403 : 400, body: JSON.stringify({ code, message }) });
const TRANSPORT = fault(0, 'Transport unknown');
const UNKNOWN = fault(1, 'Session ID unknown');
const METHOD = fault(2, 'Bad handshake method');
const BAD = fault(3, 'Bad request');
const VERSION = fault(5, 'Unsupported protocol version');
const same = ({ status, body }, expected) => assert.deepEqual({ status, body }, expected);

// --- requests

test('the handshake has five members, for polling and for WebSocket', async () => {
  const { status, headers, body } = await request(bridge, 'GET', {});
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
  assert.match(headers['cache-control'], /no-store/);
  const { sid, ...rest } = JSON.parse(body.slice(1));
  assert.match(sid, /^[\w-]{20}$/);
  assert.equal(body[0], '0');
  assert.deepEqual(rest, { upgrades: ['websocket'], pingInterval: 30000, pingTimeout: 30000, maxPayload: LIMIT });
  const wire = await Wire.open(bridge);
  assert.deepEqual(Object.keys(JSON.parse((await wire.next('0')).slice(1))), ['sid', 'upgrades', 'pingInterval', 'pingTimeout', 'maxPayload']);
  wire.drop();
});

const HANDSHAKES = [
  ['without EIO', 'GET', { EIO: undefined }, VERSION],
  ['with EIO 3', 'GET', { EIO: '3' }, VERSION],
  ['with EIO 5', 'GET', { EIO: '5' }, VERSION],
  ['with EIO abc', 'GET', { EIO: 'abc' }, VERSION],
  ['without transport', 'GET', { transport: undefined }, TRANSPORT],
  ['with an unknown transport', 'GET', { transport: 'webtransport' }, TRANSPORT],
  ['by POST', 'POST', {}, METHOD],
  ['by PUT', 'PUT', {}, METHOD],
  ['for WebSocket without upgrade', 'GET', { transport: 'websocket' }, BAD],
];
for (const [what, method, fields, expected] of HANDSHAKES) {
  test(`a handshake ${what} is refused`, async () => same(await request(bridge, method, fields), expected));
}

test('query keys of the application and their order do not matter, a path below it neither', async () => {
  const { body } = await request(bridge, 'GET', '?x=1&y=%C3%A9&transport=polling&b64=1&t=abc&EIO=4', { path: '/socket.io/foo' });
  const { sid } = JSON.parse(body.slice(1));
  const session = Object.assign(new Session(bridge), { sid });
  await session.connect(BUYER);
  session.drop();
});

const SIDS = [['that nobody has', 'AAAAAAAAAAAAAAAAAAAA'], ['of 10 KB', 'A'.repeat(10000)], ['with NUL', 'AAAA%00AAAA'], ['of another loop', '_wAAAAAAAAAAAAAAAAAA'],
  ['that is badly encoded', '%zz']];
for (const [what, sid] of SIDS) {
  test(`a sid ${what} is unknown to GET, POST and WebSocket`, async () => {
    same(await request(bridge, 'GET', { sid }), UNKNOWN);
    same(await request(bridge, 'POST', { sid }, { body: '40' }), UNKNOWN);
    await assert.rejects(Wire.open(bridge, { sid }), { status: 400, body: 'Session ID unknown' });
  });
}

test('a sid of a session that was closed is unknown', async () => {
  const session = await Session.open(bridge);
  assert.equal((await session.post('1')).body, 'ok');
  same(await session.get(), UNKNOWN);
  same(await session.post('40'), UNKNOWN);
});

// --- one request is one request, whatever the proxy in front takes it for

const INNER = 'GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n';
const UNREAD = [['a length', `Content-Length: ${INNER.length}`, INNER], ['chunks', 'Transfer-Encoding: chunked', `0\r\n\r\n${INNER}`]];
for (const method of ['OPTIONS', 'HEAD', 'GET', 'PUT', 'DELETE']) {
  for (const [what, field, body] of UNREAD) {
    test(`the body of ${method}, with ${what}, is never taken for a request`, async () => {
      const line = new Line(bridge);
      line.write(`${method} /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n${field}\r\n\r\n${body}`);
      const { headers } = await line.answer({ head: method === 'HEAD' });
      assert.equal(headers.connection, 'close');
      await line.closing();
      assert.equal(line.received.toString(), '', 'a second answer');
    });
  }
}

test('HEAD is answered without a body, and the next request is understood', async () => {
  const line = new Line(bridge);
  const { status, headers } = await line.ask('HEAD', {}, { head: true });
  assert.deepEqual([status, headers['content-length']], [400, String(METHOD.body.length)]);
  same(await line.ask('GET', { EIO: '3' }), VERSION);
  line.end();
});

// --- polling

test('POST 1 while a GET is held: noop to the one, ok to the other', async () => {
  const session = await Session.open(bridge);
  session.hold();
  const [posted, held] = await Promise.all([session.post('1'), session.held()]);
  same(posted, { status: 200, body: 'ok' });
  same(held, { status: 200, body: '6' });
  await session.isGone();
});

test('a second GET ends the session: the first one is told, the second refused', async () => {
  const session = await Session.open(bridge);
  session.hold();
  const second = await request(bridge, 'GET', { sid: session.sid });
  assert.equal(second.status, 400);
  same(await session.held(), { status: 200, body: '1' });
  same(await session.get(), UNKNOWN);
});

test('a second GET on the same connection waits for the first one\'s answer', async () => {
  const session = await Session.open(bridge);
  session.hold();
  session.hold();
  assert.equal((await session.post('40/nope,')).body, 'ok');
  assert.equal((await session.held()).body, '44/nope,{"message":"Invalid namespace"}');
  assert.equal((await session.post('40/nope,')).body, 'ok');
  assert.equal((await session.held()).body, '44/nope,{"message":"Invalid namespace"}');
  session.drop();
});

for (const [what, go] of [['ends', (line) => line.end()], ['resets', (line) => line.reset()]]) {
  test(`a client that ${what} the connection of its held GET ends the session`, async () => {
    const session = await Session.open(bridge);
    session.hold();
    await until('the GET to be held', async () => (await request(bridge, 'PUT', { sid: session.sid })).body === BAD.body);
    go(session.line);
    await session.isGone(2000);
  });
}

test('a second POST while the first one\'s body comes ends the session', async () => {
  const session = await Session.open(bridge);
  session.posts.send('POST', { sid: session.sid }, { body: '40', length: 10 });
  await sleep(20); // nothing tells that half a body has arrived
  assert.equal((await request(bridge, 'POST', { sid: session.sid }, { body: '40' })).status, 400);
  await session.posts.closing();
  await session.isGone();
});

test('a body may be exactly as large as maxPayload says', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  const packet = (size) => `420["ping","${'x'.repeat(size - 14)}"]`;
  assert.equal(packet(LIMIT).length, LIMIT);
  same(await session.post(packet(LIMIT)), { status: 200, body: 'ok' });
  assert.equal(await session.packet('430'), '430[{"ok":true}]');
  same(await session.post(packet(LIMIT + 1)), { status: 413, body: '' });
  await session.posts.closing();
  session.posts = new Line(bridge);
  same(await session.post(packet(LIMIT)), { status: 200, body: 'ok' });
  assert.equal(await session.packet('430'), '430[{"ok":true}]', 'it goes on');
  session.drop();
});

const BODIES = [
  ['without a length', (session) => session.posts.ask('POST', { sid: session.sid }, { length: null }), [200], true],
  ['in chunks', (session) => session.posts.ask('POST', { sid: session.sid }, { length: null, headers: { 'Transfer-Encoding': 'chunked' }, body: '2\r\n40\r\n0\r\n\r\n' }), [411, 400, 501], false],
  ['of bytes', (session) => session.posts.ask('POST', { sid: session.sid }, { body: '40', headers: { 'Content-Type': 'application/octet-stream' } }), [400], true],
  ['that is empty', (session) => session.post(''), [200], true],
  ['that no packet is', (session) => session.post('abc'), [200], true],
  ['with an empty packet', (session) => session.post('3\x1e'), [200], true],
  ['of an unknown type', (session) => session.post('7'), [200], true],
  ['with a ping', (session) => session.post('2'), [200], true],
];
for (const [what, go, statuses, ends] of BODIES) {
  test(`a POST ${what} is answered at once, and ${ends ? 'ends the session' : 'changes nothing'}`, async () => {
    const session = await Session.open(bridge);
    const { status } = await go(session);
    assert.ok(statuses.includes(status), String(status));
    if (ends) await session.isGone();
    else assert.equal(await session.gone(), false);
    session.drop();
  });
}

test('what clients may say for no reason is ignored', async () => {
  const session = await Session.open(bridge);
  for (const packet of ['6', '0', '3', '5', '3\x1e6']) same(await session.post(packet), { status: 200, body: 'ok' });
  await session.connect(BUYER);
  session.drop();
});

test('a connection is used again after ten idle seconds, and Connection: close is obeyed', async (t) => {
  const session = await Session.open(bridge, { user: BUYER });
  await sleep(10100);
  same(await session.post('421["ping"]'), { status: 200, body: 'ok' });
  const answer = await request(bridge, 'GET', { sid: session.sid }, { headers: { Connection: 'close' } });
  assert.match(answer.headers.connection, /close/);
  session.drop();
});

// --- to WebSocket

const upgraded = async (session) => {
  const wire = await session.wire();
  wire.send('2probe');
  assert.equal(await wire.next(), '3probe');
  wire.send('5');
  return wire;
};
const answers = async (wire, id = 7) => {
  wire.send(`42${id}["ping"]`);
  assert.equal(await wire.next(`43${id}`), `43${id}[{"ok":true}]`);
};

test('the probe releases the held GET, and every later one until the upgrade', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  session.hold();
  const wire = await session.wire();
  wire.send('2probe');
  assert.equal(await wire.next(), '3probe');
  same(await session.held(), { status: 200, body: '6' });
  same(await session.get(), { status: 200, body: '6' });
  await session.post('421["ping"]');
  same(await session.get(), { status: 200, body: '431[{"ok":true}]' });
  wire.send('5');
  await answers(wire);
  same(await session.get(), BAD);
  same(await session.post('421["ping"]'), BAD);
  const second = await session.wire();
  await second.closing();
  await answers(wire);
  wire.drop();
});

test('5 while a GET is held, and 5 without a probe', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  const wire = await session.wire();
  session.hold();
  wire.send('5');
  same(await session.held(), { status: 200, body: '6' });
  await answers(wire);
  wire.drop();
});

test('the order of Swift: 3probe, POST of a noop, then 5', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  session.hold();
  const wire = await session.wire();
  wire.send('2probe');
  assert.equal(await wire.next(), '3probe');
  same(await session.post('6'), { status: 200, body: 'ok' });
  same(await session.held(), { status: 200, body: '6' });
  wire.send('5');
  await answers(wire);
  wire.drop();
});

test('the order of Python: upgraded without a single GET, CONNECT by WebSocket', async () => {
  const session = await Session.open(bridge);
  const wire = await upgraded(session);
  await wire.connect(BUYER);
  await answers(wire);
  wire.drop();
});

test('what waited for a poll comes by WebSocket, in order', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  const ids = Array.from({ length: 100 }, (_, i) => i);
  for (const id of ids) assert.equal((await session.post(`42${id}["ping"]`)).body, 'ok');
  const wire = await upgraded(session);
  for (const id of ids) assert.equal(await wire.next('43'), `43${id}[{"ok":true}]`);
  wire.drop();
});

test('one answer has at most 16 packets, as Python wants it', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  for (let id = 0; id < 40; id++) await session.post(`42${id}["ping"]`);
  const all = [];
  while (all.filter((packet) => packet.startsWith('43')).length < 40) {
    const packets = (await session.get()).body.split('\x1e');
    assert.ok(packets.length <= 16, String(packets.length));
    all.push(...packets);
  }
  session.drop();
});

const STAGES = [
  ['before its probe', async () => {}],
  ['before the answer to its probe', async (wire) => wire.send('2probe')],
  ['before its upgrade', async (wire) => {
    wire.send('2probe');
    await wire.next('3probe');
  }],
];
for (const [what, go] of STAGES) {
  test(`a WebSocket that is gone ${what} leaves the session to polling, and another may try`, async () => {
    const session = await Session.open(bridge, { user: BUYER });
    const wire = await session.wire();
    await go(wire);
    wire.drop();
    await session.post('421["ping"]');
    assert.equal(await session.packet('431'), '431[{"ok":true}]');
    await until('the next probe', async () => { // the first one's end may still be on its way
      const next = await session.wire();
      next.send('2probe');
      const found = await next.next('3probe').catch(() => null);
      if (!found) return false;
      next.send('5');
      await answers(next);
      next.drop();
      return true;
    });
  });
}

test('a first message that is no probe ends the WebSocket only, a second probe is refused', async () => {
  const session = await Session.open(bridge, { user: BUYER });
  const wrong = await session.wire();
  wrong.send('40');
  await wrong.closing();
  const first = await session.wire();
  first.send('2probe');
  await first.next('3probe');
  const second = await session.wire();
  second.send('2probe');
  await second.closing();
  first.send('5');
  await answers(first);
  first.drop();
});

test('a message over the limit ends a WebSocket with 1009, in fragments too', async () => {
  for (const parts of [[LIMIT + 1], [LIMIT - 10, 20]]) {
    const wire = await Wire.open(bridge);
    await wire.next('0');
    parts.forEach((size, i) => wire.socket.send('4'.padEnd(size, 'x'), { fin: i === parts.length - 1 }));
    assert.equal(await wire.closing(), 1009);
  }
});

// --- other origins

test('errors, answers and preflights can be read by pages of the listed origins only', async () => {
  const from = (Origin, more = {}) => ({ headers: { Origin, ...more } });
  for (const [method, fields] of [['GET', {}], ['GET', { EIO: '3' }], ['POST', { sid: 'x' }]]) {
    const mine = await request(bridge, method, fields, from('http://app.example'));
    assert.equal(mine.headers['access-control-allow-origin'], 'http://app.example');
    assert.equal(mine.headers['access-control-allow-credentials'], 'true');
    assert.match(mine.headers.vary, /Origin/);
    const other = await request(bridge, method, fields, from('http://evil.example'));
    assert.equal(other.headers['access-control-allow-origin'], undefined);
  }
  const preflight = await request(bridge, 'OPTIONS', {}, from('http://app.example', { 'Access-Control-Request-Headers': 'authorization,x-a' }));
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers['access-control-allow-headers'], 'authorization,x-a');
  assert.match(preflight.headers['access-control-allow-methods'], /GET.*POST/);
});

test('a WebSocket from another origin is refused, one from a listed origin is not', async () => {
  await assert.rejects(Wire.open(bridge, {}, { origin: 'http://evil.example' }), { status: 403 });
  const wire = await Wire.open(bridge, {}, { origin: 'http://app.example' });
  await wire.next('0');
  wire.drop();
});

// --- heartbeats

const PING = 1000, PONG = 1000;
const quick = await world.serve({ PING_INTERVAL: '1', LIFE_TIMEOUT: '2' });
const LATE = 400; // timers are coarse, and the machine may be busy
const within = (took, ms) => assert.ok(took > ms - 60 && took < ms + LATE, `${took} ms, not ${ms}`);

test('pings come in time on either transport, and who answers stays', async () => {
  const [session, wire] = await Promise.all([Session.open(quick), Wire.open(quick)]);
  await wire.next('0');
  await Promise.all([
    (async () => {
      for (let i = 1; i <= 3; i++) {
        same(await session.get(), { status: 200, body: '2' });
        within(performance.now() - session.began, i * PING);
        assert.equal((await session.post('3')).body, 'ok');
      }
    })(),
    (async () => {
      for (let i = 0; i < 3; i++) {
        await wire.next('2');
        wire.send('3');
      }
    })(),
  ]);
  assert.equal(await session.gone(), false);
  session.drop();
  wire.drop();
});

const SILENT = [
  ['that never polls', async (session) => session.began],
  ['that polls, and does not answer', async (session) => {
    assert.equal((await session.get()).body, '2');
    session.hold();
    assert.equal((await session.held()).body, '1');
    return session.began;
  }],
  ['in the middle of its upgrade', async (session) => {
    const wire = await session.wire();
    wire.send('2probe');
    await wire.next('3probe');
    await wire.closing();
    return session.began;
  }],
];
for (const [what, go] of SILENT) {
  test(`a session ${what} ends when its answer is due`, async () => {
    const session = await Session.open(quick);
    const began = await go(session);
    await session.isGone();
    within(performance.now() - began, PING + PONG);
    session.drop();
  });
}

test('a WebSocket that does not answer ends when its answer is due, and the ping that was sent before the upgrade counts', async () => {
  const wire = await Wire.open(quick);
  const began = performance.now();
  const session = await Session.open(quick);
  await Promise.all([
    wire.closing().then(() => within(performance.now() - began, PING + PONG)),
    (async () => {
      await sleep(PING + 200); // the ping waits for a poll
      const late = await upgraded(session);
      await late.next('2');
      await late.closing();
      within(performance.now() - session.began, PING + PONG);
    })(),
  ]);
});

test('finish', () => world.finish());
