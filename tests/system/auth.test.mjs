// Who is let in: where a credential may stand, what makes it bad, and what somebody without rights learns (nothing).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { ADMIN, BUYER, MANAGER_OF_1, OTHER_BUYER, placeOrder } from './lib/orders.mjs';

const world = await openWorld('auth');
const bridge = await world.serve({ AUTH_TIMEOUT: '1' });
const ORIGIN = 'https://shop.example';
const now = Math.floor(Date.now() / 1000);

const forged = (header, claims = { sub: ADMIN }) => token(claims, { header });
const unsigned = `${forged({ alg: 'none', typ: 'JWT' }).split('.').slice(0, 2).join('.')}.`;

const BAD_TOKENS = [
  ['not a token', 'not-a-token', 'token malformed'],
  ['of two parts', 'e30.e30', 'token malformed'],
  ['with a header that is not JSON', `bm90IGpzb24.${token({ sub: ADMIN }).split('.').slice(1).join('.')}`, 'token malformed'],
  ['with alg none and no signature', unsigned, 'token algorithm not allowed'],
  ['with alg none and a signature', forged({ alg: 'none', typ: 'JWT' }), 'token algorithm not allowed'],
  ['with alg NoNe', forged({ alg: 'NoNe', typ: 'JWT' }), 'token algorithm not allowed'],
  ['with alg HS512', forged({ alg: 'HS512', typ: 'JWT' }), 'token algorithm not allowed'],
  ['with alg RS256', forged({ alg: 'RS256', typ: 'JWT' }), 'token algorithm not allowed'],
  ['without alg', forged({ typ: 'JWT' }), 'token algorithm not allowed'],
  ['signed with another secret', token({ sub: ADMIN }, { secret: 'another-secret-that-is-long-enough-too' }), 'token signature invalid'],
  ['whose claims were exchanged', swapClaims(), 'token signature invalid'],
  ['that has expired', token({ sub: ADMIN, exp: now - 3600 }), 'token expired'],
  ['without exp', token({ sub: ADMIN, exp: undefined }), 'token has no exp'],
  ['whose exp is a word', token({ sub: ADMIN, exp: 'tomorrow' }), 'token malformed'],
  ['that is valid only later', token({ sub: ADMIN, nbf: now + 3600 }), 'token not yet valid'],
  ['that names nobody', token({ role: 'admin' }), 'token has no user'],
  ['of a user whom the database does not know', token({ sub: 99999 }), 'User not found'],
  ['of a user id that is SQL', token({ sub: "1' OR '1'='1" }), 'User not found'],
];

function swapClaims() {
  const mine = token({ sub: BUYER }).split('.');
  const others = token({ sub: ADMIN }).split('.');
  return [mine[0], others[1], mine[2]].join('.');
}

for (const [what, bad, reason] of BAD_TOKENS) {
  test(`a token ${what} gets 401, or 4401 where only that can be read: ${reason}`, async () => {
    const refusals = await Promise.all([
      attempt(bridge, { token: bad }),
      attempt(bridge, { headers: { authorization: `Bearer ${bad}` } }),
    ]);
    for (const answer of refusals) {
      assert.equal(answer.status, 401, `${answer.body}`);
      assert.match(answer.headers['content-type'], /^application\/json/);
      assert.deepEqual(JSON.parse(answer.body), { error: { code: 'unauthorized', message: reason } });
    }
    const browser = await connect(bridge, { token: bad, origin: ORIGIN, welcome: false });
    const late = await connect(bridge, { welcome: false });
    late.send({ type: 'auth', data: { token: bad } });
    for (const client of [browser, late]) {
      const end = await client.closing();
      assert.deepEqual([end.code, end.reason], [4401, reason]);
      assert.deepEqual(client.of('connected'), []);
    }
  });
}

test('a good token is accepted as query, header, subprotocol and first message, with and without Origin', async () => {
  const good = token({ sub: BUYER });
  for (const origin of [undefined, ORIGIN]) {
    for (const way of [
      { token: good },
      { headers: { authorization: `Bearer ${good}` } },
      { headers: { authorization: `bearer ${good}` } },
      { protocols: ['bearer', good] },
    ]) {
      const client = await connect(bridge, { ...way, origin });
      assert.deepEqual(client.welcome.data, { userId: BUYER, role: 'buyer' });
      assert.equal(client.socket.protocol, way.protocols ? 'bearer' : '');
      await client.close();
    }
    const client = await connect(bridge, { origin, welcome: false });
    client.send({ type: 'auth', data: { token: good } });
    await client.expect('connected');
    await placeOrder(world, { id: 1 });
    assert.equal((await client.expect('order-created')).data.id, 1);
    await client.close();
  }
});

test('a token a little past its time is forgiven, as the clocks of two machines differ', async () => {
  const client = await connect(bridge, { token: token({ sub: BUYER, exp: now - 5 }) });
  await client.close();
});

test('without a credential the connection is closed with 4401 after AUTH_TIMEOUT, not before', async () => {
  for (const origin of [undefined, ORIGIN]) {
    const client = await connect(bridge, { origin, welcome: false });
    const opened = performance.now();
    const end = await client.closing(5000);
    assert.deepEqual([end.code, end.reason], [4401, 'no credential']);
    assert.ok(end.at - opened > 900 && end.at - opened < 3000, `after ${end.at - opened} ms`);
    assert.deepEqual(client.messages, []);
  }
});

test('before the credential nothing but a credential is listened to', async () => {
  const client = await connect(bridge, { welcome: false });
  client.send({ type: 'join-room', data: { roomId: 'admin-orders' } });
  await placeOrder(world, { id: 2 });
  const end = await client.closing(5000);
  assert.equal(end.code, 4401);
  assert.deepEqual(client.messages.filter((m) => m.type !== 'error'), []);
  for (const message of client.messages) assert.equal(message.data.code, 'unauthorized');
});

test('a second credential does not change who somebody is', async () => {
  const client = await connect(bridge, { user: BUYER });
  client.send({ type: 'auth', data: { token: token({ sub: ADMIN }) } });
  await placeOrder(world, { id: 3, user_id: OTHER_BUYER });
  await placeOrder(world, { id: 4, user_id: BUYER });
  await client.expect((m) => m.type === 'order-created' && m.data.id === 4);
  assert.deepEqual(client.of('new-order'), []);
  client.terminate();
});

test('a foreign room and a room that does not exist get the same answer', async () => {
  const client = await connect(bridge, { user: MANAGER_OF_1 });
  const rooms = ['admin-orders', 'city-2-orders', `user-${ADMIN}`, 'city-4711-orders', 'no-such-room', 'user-', 'city--orders', '%'];
  const answers = [];
  for (const roomId of rooms) {
    const answer = await client.ask({ type: 'join-room', data: { roomId } }, () => true);
    assert.equal(answer.data?.roomId, roomId, JSON.stringify(answer));
    answers.push(JSON.stringify({ ...answer, data: { ...answer.data, roomId: 'x' } }));
  }
  assert.equal(new Set(answers).size, 1, answers.join('\n'));
  assert.equal(JSON.parse(answers[0]).type, 'error');
  assert.equal(JSON.parse(answers[0]).data.code, 'forbidden');
  await placeOrder(world, { id: 5, city_id: 2 });
  await placeOrder(world, { id: 6, city_id: 1 });
  assert.equal((await client.expect('new-order')).data.id, 6);
  await client.close();
});

test('role and cities come from the database, whatever the token claims', async () => {
  const client = await connect(bridge, { token: token({ sub: BUYER, role: 'admin', cities: [1, 2, 3] }) });
  assert.equal(client.welcome.data.role, 'buyer');
  const answer = await client.ask({ type: 'join-room', data: { roomId: 'admin-orders' } }, 'error');
  assert.equal(answer.data.code, 'forbidden');
  await client.close();
});

test('issuer and audience are checked when they are configured', async () => {
  const strict = await world.serve({ JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'orders' });
  const claims = { sub: BUYER, iss: 'https://id.example', aud: 'orders' };
  const cases = [
    [{ ...claims, iss: 'https://evil.example' }, 'token issuer not accepted'],
    [{ ...claims, iss: undefined }, 'token issuer not accepted'],
    [{ ...claims, aud: 'others' }, 'token audience not accepted'],
    [{ ...claims, aud: undefined }, 'token audience not accepted'],
  ];
  for (const [wrong, reason] of cases) {
    const answer = await attempt(strict, { token: token(wrong) });
    assert.equal(answer.status, 401);
    assert.equal(JSON.parse(answer.body).error.message, reason);
  }
  for (const aud of ['orders', ['others', 'orders']]) {
    await (await connect(strict, { token: token({ ...claims, aud }) })).close();
  }
});

test('only configured origins may connect from a browser', async () => {
  const guarded = await world.serve({ FRONTEND_URL: `${ORIGIN},https://admin.example:8443` });
  for (const origin of [ORIGIN, 'https://admin.example:8443', undefined]) {
    await (await connect(guarded, { user: BUYER, origin })).close();
  }
  for (const origin of ['https://evil.example', `${ORIGIN}.evil.example`, 'http://shop.example', 'https://admin.example', 'null']) {
    const answer = await attempt(guarded, { user: BUYER, origin });
    assert.equal(answer.status, 403, `${origin}: ${answer.status}`);
  }
});

test('the claim that names the user can be chosen', async () => {
  const other = await world.serve({ JWT_USER_CLAIMS: 'uid,sub' });
  const client = await connect(other, { token: token({ uid: BUYER, sub: ADMIN }) });
  assert.equal(client.welcome.data.userId, BUYER);
  await client.close();
  const answer = await attempt(other, { token: token({ userId: BUYER }) });
  assert.equal(JSON.parse(answer.body).error.message, 'token has no user');
});

test('no token appears in the log, even in its most talkative mode', async () => {
  const talkative = await world.serve({ LOG_LEVEL: 'debug' });
  const good = token({ sub: BUYER });
  const bad = token({ sub: BUYER }, { secret: 'another-secret-that-is-long-enough-too' });
  await (await connect(talkative, { token: good })).close();
  await attempt(talkative, { token: bad });
  await attempt(talkative, { headers: { authorization: `Bearer ${bad}` } });
  await talkative.get(`/healthz?token=${good}`);
  for (const secret of [good, bad, good.split('.')[2], bad.split('.')[2]]) assert.ok(!talkative.log().includes(secret));
});

test('the bridges end in good health', () => world.finish());
