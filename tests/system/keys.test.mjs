// Keys that change while the bridge runs: an identity provider's rotation under traffic, its outage, its certificate,
// key files, and tokens that name keys which nobody has.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { attempt, connect } from './lib/client.mjs';
import { keySet, makeKey } from './lib/keys.mjs';
import { BUYER, order, placeOrder } from './lib/orders.mjs';
import { until } from './lib/processes.mjs';

const world = await openWorld('keys');
const servers = [];
after(() => servers.forEach((server) => { server.closeAllConnections(); server.close(); }));

// What an identity provider is to the bridge: an address with a set of keys. `answer`: null, or what it does instead.
async function provider(keys, tls) {
  const state = { keys, fetches: 0, answer: null };
  const answer = (request, response) => {
    state.fetches += 1;
    if (state.answer) state.answer(response);
    else response.setHeader('content-type', 'application/json').end(keySet(...state.keys));
  };
  const server = tls ? createTlsServer(tls, answer) : createServer(answer);
  servers.push(server);
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  state.url = `${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}/keys`;
  return state;
}

const fail = (response) => response.writeHead(503).end();
const serve = (url, settings = {}, options = {}) => world.serve({ JWT_SECRET: undefined, JWKS_URL: url, JWKS_COOLDOWN: '1', ...settings }, options);
const connectWith = (bridge, key, claims = {}) => connect(bridge, { token: key.token({ sub: BUYER, ...claims }) });

async function refusal(bridge, credential) {
  const answer = await attempt(bridge, { token: credential });
  if (!answer.client) return JSON.parse(answer.body).error.message;
  return answer.client.closing();
}

// Atomically, as a careful operator does it.
function replace(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
  return path;
}

test('a rotation under traffic turns nobody away, ends no connection, and costs one fetch', async () => {
  const [old, fresh] = [makeKey('RS256', '2026-a'), makeKey('ES256', '2026-b')];
  const idp = await provider([old]);
  const bridge = await serve(idp.url);
  const residents = await Promise.all(Array.from({ length: 30 }, () => connectWith(bridge, old)));
  let sent = 0;
  const traffic = { on: true };
  const flowing = (async () => {
    while (traffic.on) await placeOrder(world, { id: sent++ });
  })();
  await until('traffic', () => residents.every((client) => client.of('order-created').length > 5));

  idp.keys = [old, fresh]; // both for a while, as providers do it
  const before = idp.fetches;
  const newcomers = await Promise.all(Array.from({ length: 30 }, () => connectWith(bridge, fresh)));
  assert.ok(idp.fetches - before <= 2, `${idp.fetches - before} fetches for 30 clients with a new key`);
  for (const client of residents) {
    const answer = await client.ask({ type: 'refresh', data: { token: fresh.token({ sub: BUYER }) } }, (m) => m.type === 'refreshed' || m.type === 'error');
    assert.equal(answer.type, 'refreshed', JSON.stringify(answer));
  }

  idp.keys = [fresh];
  await until('the old key to be gone', async () => {
    await refusal(bridge, fresh.token({ sub: BUYER }, { kid: 'makes-it-look' }));
    return (await bridge.metric('causeway_token_keys', { algorithm: 'RS256' })) === 0;
  });
  assert.equal(await refusal(bridge, old.token({ sub: BUYER })), 'token key not known');
  traffic.on = false;
  await flowing;
  for (const client of [...residents, ...newcomers]) {
    const last = await client.expect((m) => m.type === 'order-created' && m.data.id === sent - 1);
    assert.ok(last);
    assert.equal(client.of('connected').length, 1);
    const ids = client.of('order-created').map((m) => m.data.id);
    assert.deepEqual(ids, Array.from({ length: ids.length }, (_, i) => ids[0] + i), 'nothing is missing, nothing comes twice');
    await client.close();
  }
  assert.equal(await bridge.metric('causeway_connections_closed_total', { code: '4401' }), 0);
});

test('a provider that is away at the start: not ready, 1013 for those whose key is missing, and then by itself all is well', async () => {
  const key = makeKey('RS256', 'k');
  const idp = await provider([key]);
  idp.answer = fail;
  const bridge = await serve(idp.url, { JWT_SECRET: undefined, JWT_KEYS: replace(join(world.dir, 'own.pem'), makeKey('ES256').publicPem) }, { ready: false });
  const detail = await until('/readyz to name it', async () => {
    const { status, keys } = await bridge.readyz();
    return status === 503 && keys.detail.includes('HTTP status 503') ? keys : null;
  });
  assert.deepEqual(detail, { ok: false, detail: 'JWKS_URL: HTTP status 503' });
  await until('kafka to be ready', async () => (await bridge.readyz()).kafka.ok);
  const end = await refusal(bridge, key.token({ sub: BUYER }));
  assert.deepEqual([end.code, end.reason], [1013, 'the keys of tokens cannot be fetched now; come back later']);
  idp.answer = null;
  await bridge.ready();
  await (await connectWith(bridge, key)).close();
});

test('a provider that fails later: known keys hold, unknown ones are told to come back, a refresh too', async () => {
  const [known, unknown] = [makeKey('RS256', 'known'), makeKey('RS256', 'unknown')];
  const idp = await provider([known]);
  const bridge = await serve(idp.url);
  const client = await connectWith(bridge, known);
  for (const answer of [fail, (response) => response.end('<html>down for maintenance</html>'), (response) => response.writeHead(302, { location: idp.url }).end()]) {
    idp.answer = answer;
    const end = await refusal(bridge, unknown.token({ sub: BUYER }));
    assert.equal(end.code, 1013, JSON.stringify(end));
    await (await connectWith(bridge, known)).close();
    assert.equal((await bridge.readyz()).keys.ok, true);
  }
  const late = await client.ask({ type: 'refresh', data: { token: unknown.token({ sub: BUYER }) } }, () => true);
  assert.equal(late.data.code, 'unavailable');
  idp.answer = null;
  idp.keys = [known, unknown];
  const answer = await client.ask({ type: 'refresh', data: { token: unknown.token({ sub: BUYER }) } }, () => true);
  assert.equal(answer.type, 'refreshed');
  await client.close();
});

test('a flood of tokens with invented keys makes few fetches, and good clients are let in meanwhile', async () => {
  const [key, invented] = [makeKey('ES256', 'k'), makeKey('ES256', 'i')];
  const idp = await provider([key]);
  const bridge = await serve(idp.url);
  const before = idp.fetches;
  const began = performance.now();
  const flood = Promise.all(Array.from({ length: 300 }, (_, i) => refusal(bridge, invented.token({ sub: BUYER }, { kid: `i-${i}` }))));
  for (let i = 0; i < 20; i++) await (await connectWith(bridge, key, { jti: String(i) })).close();
  const reasons = new Set(await flood);
  assert.deepEqual([...reasons], ['token key not known']);
  const seconds = (performance.now() - began) / 1000;
  assert.ok(idp.fetches - before <= seconds + 1, `${idp.fetches - before} fetches in ${seconds} s`);
});

test('the certificate of the provider is checked', async () => {
  const key = makeKey('RS256', 'k');
  const path = (name) => join(world.dir, name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1',
    '-keyout', path('tls.key'), '-out', path('tls.pem')], { stdio: 'ignore' });
  const idp = await provider([key], { key: readFileSync(path('tls.key')), cert: readFileSync(path('tls.pem')) });
  const bridge = await serve(idp.url, { JWKS_CA_FILE: path('tls.pem') });
  await (await connectWith(bridge, key)).close();
  const stranger = await serve(idp.url, {}, { ready: false });
  await until('the refusal of the certificate', async () => /certificate/.test((await stranger.readyz()).keys.detail));
  assert.equal(idp.fetches, 1, 'nothing was asked of a server that is not the provider');
});

test('a key file is read anew when it changes and on SIGHUP; a broken one changes nothing', async () => {
  const [first, second, third] = ['1', '2', '3'].map((kid) => makeKey('ES256', kid));
  const path = replace(join(world.dir, 'rotating.json'), keySet(first));
  const bridge = await world.serve({ JWT_KEYS: path });
  const client = await connectWith(bridge, first);
  replace(path, keySet(first, second));
  await until('the second key to be known', async () => typeof await refusal(bridge, third.token({ sub: BUYER })) === 'string'
    && (await bridge.metric('causeway_token_keys', { algorithm: 'ES256' })) === 2);
  await (await connectWith(bridge, second)).close();

  replace(path, '{"keys":[');
  process.kill(bridge.pid, 'SIGHUP');
  await until('the complaint', () => bridge.logLines('keys cannot be loaded').length === 1);
  await (await connectWith(bridge, second)).close();

  replace(path, keySet(third));
  process.kill(bridge.pid, 'SIGHUP');
  await until('the third key to be known', async () => (await bridge.metric('causeway_token_keys', { algorithm: 'ES256' })) === 1);
  await (await connectWith(bridge, third)).close();
  await (await connect(bridge, { token: token({ sub: BUYER }) })).close(); // JWT_SECRET is another source
  assert.equal(await refusal(bridge, first.token({ sub: BUYER })), 'token key not known');
  await world.publish('orders.v1', 'order.created', order({ id: 77, user_id: BUYER }));
  assert.equal((await client.expect((m) => m.type === 'order-created' && m.data.id === 77)).data.id, 77);
  await client.close();
});

test('no token, no key and no address appears in the log, whatever happens to them', async () => {
  const [key, unknown] = [makeKey('RS256', 'known'), makeKey('RS256', 'a-kid-of-its-own')];
  const idp = await provider([key]);
  const bridge = await serve(`${idp.url}?client=a-secret-of-its-own`, { LOG_LEVEL: 'debug' });
  const [good, bad, fresh] = [key.token({ sub: BUYER }), unknown.token({ sub: BUYER }), key.token({ sub: BUYER, n: 1 })];
  const client = await connect(bridge, { token: good });
  await client.ask({ type: 'refresh', data: { token: bad } }, 'error');
  await client.ask({ type: 'refresh', data: { token: fresh } }, 'refreshed');
  idp.answer = fail;
  await refusal(bridge, bad);
  await until('the complaint', () => bridge.logLines('keys cannot be loaded').length > 0);
  for (const secret of [good, bad, fresh]) {
    for (const part of [secret, ...secret.split('.').slice(1)]) assert.ok(!bridge.log().includes(part));
  }
  for (const word of ['a-kid-of-its-own', 'a-secret-of-its-own', key.jwk.n]) assert.ok(!bridge.log().includes(word), word);
  await client.close();
});

test('the bridges end in good health', () => world.finish());
