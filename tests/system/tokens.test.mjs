// Tokens of an identity provider: RS256 and ES256 beside HS256, keys from files, and keys that must not be used.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECRET, openWorld, runCauseway, token } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { keySet, makeKey } from './lib/keys.mjs';
import { ADMIN, BUYER, placeOrder } from './lib/orders.mjs';

const world = await openWorld('tokens');

const file = (name, text) => {
  const path = join(world.dir, name);
  writeFileSync(path, text);
  return path;
};

const rsa = makeKey('RS256', 'rsa-1');
const curve = makeKey('ES256', 'curve-1');
const hmac = makeKey('HS256', 'secret-1');
const stranger = makeKey('RS256', 'rsa-1');
const nameless = makeKey('ES256');
const bridge = await world.serve({
  JWT_KEYS: `${file('keys.json', keySet(rsa, curve, hmac))},${file('nameless.pem', nameless.publicPem)}`,
});

const refusal = async (credential, at = bridge) => {
  const answer = await attempt(at, { token: credential });
  assert.equal(answer.status, 401, 'it was let in');
  return JSON.parse(answer.body).error.message;
};

test('clients with RS256, ES256 and HS256 tokens of several keys are let in', async () => {
  const tokens = [rsa, curve, hmac, nameless].map((key) => key.token({ sub: BUYER }));
  tokens.push(token({ sub: BUYER })); // by JWT_SECRET
  const clients = await Promise.all(tokens.map((credential) => connect(bridge, { token: credential })));
  await placeOrder(world, { id: 1 });
  for (const client of clients) {
    assert.equal(client.welcome.data.userId, BUYER);
    assert.equal((await client.expect('order-created')).data.id, 1);
    await client.close();
  }
  assert.equal(await bridge.metric('causeway_token_keys', { algorithm: 'HS256' }), 2);
  assert.equal(await bridge.metric('causeway_token_keys', { algorithm: 'RS256' }), 1);
  assert.equal(await bridge.metric('causeway_token_keys', { algorithm: 'ES256' }), 2);
});

test('a token that comes again is not verified again, but is still judged by its times', async () => {
  const verified = await bridge.metric('causeway_tokens_total', { result: 'verified' });
  const cached = await bridge.metric('causeway_tokens_total', { result: 'cached' });
  const credential = rsa.token({ sub: BUYER, jti: 'twice' });
  for (let i = 0; i < 4; i++) await (await connect(bridge, { token: credential })).close();
  assert.equal(await bridge.metric('causeway_tokens_total', { result: 'verified' }), verified + 1);
  assert.equal(await bridge.metric('causeway_tokens_total', { result: 'cached' }), cached + 3);
});

test('an algorithm belongs to its key, whatever a token says', async () => {
  const mac = (key, header) => {
    const text = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${rsa.token({ sub: ADMIN }).split('.')[1]}`;
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };
  const cases = [
    [mac(rsa.publicPem, { alg: 'HS256', kid: 'rsa-1' }), 'token algorithm not allowed'],
    [mac(rsa.publicPem, { alg: 'HS256' }), 'token signature invalid'],
    [mac(nameless.publicPem, { alg: 'HS256' }), 'token signature invalid'],
    [mac('', { alg: 'none' }), 'token algorithm not allowed'],
    [stranger.token({ sub: ADMIN }), 'token signature invalid'],
    [stranger.token({ sub: ADMIN }, { jwk: stranger.jwk }), 'token signature invalid'],
    [stranger.token({ sub: ADMIN }, { kid: 'rsa-2' }), 'token key not known'],
    [nameless.token({ sub: ADMIN }, { kid: 'rsa-1' }), 'token algorithm not allowed'],
    [nameless.token({ sub: ADMIN }, { kid: 'other' }), undefined],
  ];
  for (const [credential, reason] of cases) {
    if (reason) assert.equal(await refusal(credential), reason);
    else await (await connect(bridge, { token: credential })).close();
  }
  assert.ok(await bridge.metric('causeway_tokens_total', { result: 'token algorithm not allowed' }) >= 3);
});

test('a bridge without JWT_SECRET takes the tokens of its files only', async () => {
  const other = await world.serve({ JWT_SECRET: undefined, JWT_KEYS: file('rsa.pem', rsa.publicPem) });
  await (await connect(other, { token: rsa.token({ sub: BUYER }) })).close();
  assert.equal(await refusal(token({ sub: BUYER }), other), 'token algorithm not allowed');
  assert.equal(await refusal(curve.token({ sub: BUYER }), other), 'token algorithm not allowed');
});

test('the token command signs with a private key what serve accepts by the public one', async () => {
  for (const key of [rsa, curve]) {
    const made = await runCauseway(['token', '--user', String(BUYER), '--key', file('private.pem', key.privatePem), '--kid', key.kid],
      { env: { JWT_KEYS: join(world.dir, 'keys.json') } });
    assert.equal(made.code, 0, made.stderr);
    assert.equal(JSON.parse(Buffer.from(made.stdout.split('.')[0], 'base64url')).alg, key.alg);
    await (await connect(bridge, { token: made.stdout.trim() })).close();
  }
  const missing = await runCauseway(['token', '--user', '1', '--key', '/no/such.pem'], { env: { JWT_SECRET: SECRET } });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /no\/such\.pem/);
});

const REFUSED = [
  ['JWT_KEYS', { JWT_KEYS: '/no/such/keys.json' }],
  ['JWT_KEYS', { JWT_KEYS: file('empty.json', '{"keys":[]}') }],
  ['JWT_KEYS', { JWT_KEYS: file('private.pem', rsa.privatePem) }],
  ['JWT_KEYS', { JWT_KEYS: file('short.json', JSON.stringify({ keys: [{ kty: 'oct', k: 'c2hvcnQ' }] })) }],
  ['JWT_KEYS', { JWT_KEYS: file('pem-as-secret.json', JSON.stringify({ keys: [{ kty: 'oct', k: Buffer.from(rsa.publicPem).toString('base64url') }] })) }],
  ['JWT_SECRET', { JWT_SECRET: rsa.publicPem.replaceAll('\n', '\\n') }],
  ['JWT_SECRET', { JWT_SECRET: rsa.publicPem.split('\n').slice(1, -2).join('') }],
];

for (const [index, [name, settings]] of REFUSED.entries()) {
  test(`serve and check refuse keys that are no good with status 78 and name the setting (${index + 1}: ${name})`, async () => {
    for (const command of ['serve', 'check']) {
      const end = await runCauseway([command], { env: world.settings(settings), cwd: world.dir });
      assert.equal(end.code, 78, `${command}: ${end.stderr}`);
      assert.ok(end.stderr.includes(name), end.stderr);
      assert.ok(!end.stderr.includes('MIIB'), 'a key is not shown');
    }
  });
}

test('the bridges end in good health', () => world.finish());
