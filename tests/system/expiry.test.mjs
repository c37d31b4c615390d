// How long a token carries a connection: the warning, the refresh, the end, and that nothing is missed over it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { ADMIN, BUYER, OTHER_BUYER, placeOrder } from './lib/orders.mjs';
import { until as awaited } from './lib/processes.mjs';

const world = await openWorld('expiry');
const bridge = await world.serve({ JWT_LEEWAY: '1', JWT_EXPIRY_WARNING: '2' });

const seconds = () => Date.now() / 1000;
const until = (exp, claims = {}) => token({ sub: BUYER, exp: Math.floor(exp), ...claims });
const refresh = (client, fresh) => client.ask({ type: 'refresh', data: { token: fresh } }, () => true);

test('a token that expires is told of before, and ends the connection with 4401, not earlier', async () => {
  const expired = await bridge.metric('causeway_connections_expired_total');
  const exp = Math.floor(seconds()) + 4;
  const client = await connect(bridge, { token: until(exp) });
  const warning = await client.expect('auth-expiring');
  const left = exp - seconds();
  assert.ok(left > 0 && left <= 2.2, `told ${left} s before`);
  assert.ok(Number.isInteger(warning.data.expiresIn) && Math.abs(warning.data.expiresIn - left) <= 2, JSON.stringify(warning));
  await placeOrder(world, { id: 1 });
  assert.equal((await client.expect('order-created')).data.id, 1);
  const end = await client.closing();
  const over = seconds() - exp;
  assert.deepEqual([end.code, end.reason], [4401, 'token expired']);
  assert.ok(over >= 1 && over < 5, `closed ${over} s after the token expired`);
  assert.equal(client.of('auth-expiring').length, 1);
  assert.equal(await bridge.metric('causeway_connections_expired_total'), expired + 1);
});

test('who was ended by its token comes back with a new one and its cursor, and has missed nothing', async () => {
  const client = await connect(bridge, { token: until(seconds() + 1) });
  await client.expect('auth-expiring');
  await client.closing();
  await placeOrder(world, { id: 2 });
  const back = await connect(bridge, { user: BUYER, query: { cursor: client.messages.at(-1).cursor ?? client.welcome.cursor } });
  assert.equal((await back.expect('order-created')).data.id, 2);
  // Before or after it: the bridge may have read the order only after the client was back.
  await awaited('resumed', () => back.of('resumed').length === 1);
  await back.close();
});

test('a refresh carries the connection beyond its first token', async () => {
  const exp = seconds() + 3;
  const client = await connect(bridge, { token: until(exp) });
  await client.expect('auth-expiring');
  const answer = await refresh(client, until(exp + 3));
  assert.equal(answer.type, 'refreshed', JSON.stringify(answer));
  assert.ok(answer.data.expiresIn >= 3 && answer.data.expiresIn <= 6, JSON.stringify(answer));
  await client.expect('auth-expiring'); // told anew, of the new one
  assert.ok(seconds() > exp, 'the first token has expired by now');
  assert.equal((await refresh(client, until(seconds() + 3600))).type, 'refreshed');
  await placeOrder(world, { id: 3 });
  assert.equal((await client.expect('order-created')).data.id, 3);
  assert.deepEqual([client.end, client.of('connected').length], [undefined, 1]);
  await client.close();
});

test('a refresh that is no good is refused with the reason, and the connection goes on with the token it has', async () => {
  const client = await connect(bridge, { token: until(seconds() + 3600) });
  const forged = token({ sub: BUYER }, { secret: 'another-secret-that-is-long-enough-too' });
  const cases = [
    [token({ sub: OTHER_BUYER }), 'refresh_refused', 'token is of another user'],
    [token({ sub: ADMIN }), 'refresh_refused', 'token is of another user'],
    [until(seconds() - 60), 'refresh_refused', 'token expired'],
    [forged, 'refresh_refused', 'token signature invalid'],
    ['', 'refresh_refused', 'token malformed'],
    [undefined, 'bad_message', 'refresh needs data.token, a string'],
    [42, 'bad_message', 'refresh needs data.token, a string'],
  ];
  for (const [fresh, code, message] of cases) {
    assert.deepEqual(await refresh(client, fresh), { type: 'error', data: { code, message } });
  }
  await placeOrder(world, { id: 4, user_id: OTHER_BUYER });
  await placeOrder(world, { id: 5 });
  assert.equal((await client.expect('order-created')).data.id, 5, 'it is still who it was');
  assert.deepEqual(client.of('new-order'), []);
  assert.ok(!bridge.log().includes(forged));
  await client.close();
});

test('a token of the same user with another JSON type of its id refreshes', async () => {
  const client = await connect(bridge, { user: BUYER });
  assert.equal((await refresh(client, token({ sub: String(BUYER) }))).type, 'refreshed');
  await client.close();
});

test('before the credential there is nothing to refresh', async () => {
  const client = await connect(bridge, { welcome: false });
  const answer = await refresh(client, token({ sub: BUYER }));
  assert.equal(answer.data.code, 'unauthorized');
  client.terminate();
});

test('the bridges end in good health', () => world.finish());
