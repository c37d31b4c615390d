// Settings and the command line: what is wrong is refused with status 78 and named; where a value comes from decides.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { openWorld, projectCatalogue, runCauseway } from './lib/bridge.mjs';
import { connect } from './lib/client.mjs';
import { BUYER } from './lib/orders.mjs';
import { root } from './lib/processes.mjs';

const world = await openWorld('settings');
const CONFIG_ERROR = 78;

let runs = 0;
// `causeway serve` in an empty directory with the settings that work, changed by `env`.
function serve(env = {}, { args = [], dotenv } = {}) {
  const cwd = join(world.dir, `run-${++runs}`);
  mkdirSync(cwd, { recursive: true });
  if (dotenv !== undefined) writeFileSync(join(cwd, '.env'), dotenv);
  const settings = Object.fromEntries(Object.entries(world.settings(env)).filter(([, value]) => value !== undefined));
  return runCauseway(['serve', ...args], { env: settings, cwd });
}

const WRONG = [
  ['PORT', 'http'],
  ['PORT', '65536'],
  ['PORT', '3000,3000'],
  ['PORT', ''],
  ['HOST', 'not an address'],
  ['KAFKA_BROKERS', ''],
  ['DATABASE_URL', 'postgresql://[broken'],
  ['DATABASE_POOL', '0'],
  ['JWT_SECRET', undefined],
  ['JWT_SECRET', 'too-short'],
  ['JWT_LEEWAY', '-1'],
  ['JWKS_URL', 'idp.example/keys'],
  ['JWKS_URL', 'http://idp.example/keys'],
  ['JWKS_URL', 'http://localhost.evil.example/keys'],
  ['JWKS_URL', 'https://user:too-short@idp.example/keys'],
  ['JWKS_URL', 'file:///etc/keys.json'],
  ['JWKS_URL', 'https:///keys'],
  ['JWKS_COOLDOWN', '301'],
  ['FRONTEND_URL', 'shop.example'],
  ['CATALOGUE', '/no/such/catalogue.yaml'],
  ['LOOPS', 'many'],
  ['HOT_LOG_BYTES', '12'],
  ['HOT_LOG_BYTES', '64MB?'],
  ['MESSAGE_MAX_BYTES', '99999999999999999999'],
  ['PING_INTERVAL', '0'],
  ['LOG_LEVEL', 'loud'],
  ['LOG_FORMAT', 'xml'],
  ['kafka.no.such.property', '1'],
  ['kafka.security.protocol', 'nonsense'],
];

for (const [name, value] of WRONG) {
  test(`serve refuses ${name}${value === undefined ? ' when it is missing' : `=${value}`} with status 78 and names it`, async () => {
    const end = await serve({ [name]: value });
    assert.equal(end.code, CONFIG_ERROR, end.stderr);
    assert.ok(end.stderr.includes(name), end.stderr);
    if (['JWT_SECRET', 'JWKS_URL'].includes(name)) assert.ok(!end.stderr.includes('too-short'), 'a secret is not shown');
  });
}

test('all faults are reported at once', async () => {
  const end = await serve({ PORT: 'x', LOOPS: 'y', LOG_LEVEL: 'z' });
  assert.equal(end.code, CONFIG_ERROR);
  for (const name of ['PORT', 'LOOPS', 'LOG_LEVEL']) assert.ok(end.stderr.includes(name), end.stderr);
});

test('an unknown name in .env or --set is refused, with the line where it stands', async () => {
  const inFile = await serve({}, { dotenv: '# settings\nLOG_LEVEL=info\nPROT=3000\n' });
  assert.equal(inFile.code, CONFIG_ERROR);
  assert.match(inFile.stderr, /PROT\b/);
  assert.match(inFile.stderr, /\.env[^\n]*3/);
  const onLine = await serve({}, { args: ['--set', 'PROT=3000'] });
  assert.equal(onLine.code, CONFIG_ERROR);
  assert.match(onLine.stderr, /PROT\b/);
});

test('a broken line in .env is refused', async () => {
  const end = await serve({}, { dotenv: 'this is no setting\n' });
  assert.equal(end.code, CONFIG_ERROR);
  assert.match(end.stderr, /\.env/);
});

test('an unknown option and an unknown command are usage errors', async () => {
  for (const args of [['serve', '--frobnicate'], ['frobnicate'], []]) {
    const end = await runCauseway(args);
    assert.ok(end.code === 2 || end.code === 64, `${args}: ${end.code} ${end.stderr}`);
    if (args.length > 0) assert.ok(end.stderr.includes('frobnicate'), end.stderr);
  }
});

test('a port that is taken is named', async () => {
  const server = await new Promise((done) => {
    const s = createServer().listen(0, '127.0.0.1', () => done(s));
  });
  const { port } = server.address();
  const end = await serve({ PORT: String(port) });
  assert.ok(end.code > 0, String(end.code));
  assert.ok(end.stderr.includes(String(port)), end.stderr);
  await new Promise((done) => server.close(done));
});

test('--set wins over the environment, which wins over .env', async () => {
  // The log itself tells which LOG_FORMAT was taken.
  const format = async (inEnvironment, dotenv, args = []) => {
    const bridge = await world.serve({ LOG_FORMAT: inEnvironment }, { ready: false, dotenv, args });
    await bridge.terminate();
    return bridge.log().startsWith('{') ? 'json' : 'text';
  };
  assert.equal(await format(undefined, undefined), 'text');
  assert.equal(await format(undefined, 'LOG_FORMAT=json\n'), 'json');
  assert.equal(await format('text', 'LOG_FORMAT=json\n'), 'text');
  assert.equal(await format('text', 'LOG_FORMAT=text\n', ['--set', 'LOG_FORMAT=json']), 'json');
});

test('a .env file with comments, quotes and export configures the bridge', async () => {
  const bridge = await world.serve({ JWT_SECRET: undefined, JWT_LEEWAY: undefined }, {
    args: [], dotenv: '# what a developer has\nexport JWT_SECRET="a-secret-for-tests-only-of-40-characters"\n\nJWT_LEEWAY=5 # seconds\n',
  });
  await (await connect(bridge, { user: BUYER })).close();
});

test('a short secret is accepted with --dev only', async () => {
  const bridge = await world.serve({ JWT_SECRET: 'short' }, { args: ['--dev'] });
  assert.equal((await bridge.get('/healthz')).status, 200);
});

test('several ports serve the same', async () => {
  const bridge = await world.serve({ PORT: '0,0,0' });
  assert.equal(new Set(bridge.ports).size, 3);
  for (const port of bridge.ports) {
    const client = await connect(bridge, { user: BUYER, port });
    assert.deepEqual(await client.ask({ type: 'ping' }, () => true), { type: 'pong' });
    await client.close();
  }
});

test('LOG_FORMAT=json logs one JSON object per line', async () => {
  const bridge = await world.serve({ LOG_FORMAT: 'json' });
  await (await connect(bridge, { user: BUYER })).close();
  await bridge.terminate();
  const lines = bridge.log().trim().split('\n');
  assert.ok(lines.length > 1);
  for (const line of lines) assert.equal(typeof JSON.parse(line), 'object');
});

test('--help names every command and every setting with its default, --version the version', async () => {
  const general = await runCauseway(['--help']);
  assert.equal(general.code, 0, general.stderr);
  for (const command of ['serve', 'check', 'token', 'publish', 'tail', 'broker']) assert.match(general.stdout, new RegExp(`\\b${command}\\b`));
  const help = `${general.stdout}${(await runCauseway(['serve', '--help'])).stdout}`;
  const table = readFileSync(join(root, 'include/causeway/config.h'), 'utf8');
  const settings = [...table.matchAll(/X\(\w+, \w+, "(\w+)", "([^"]*)"/g)];
  assert.ok(settings.length > 20);
  for (const [, name, fallback] of settings) {
    assert.match(help, new RegExp(`\\b${name}\\b`));
    assert.ok(help.includes(fallback), `${name}: default ${fallback}`);
  }
  const version = await runCauseway(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /\d+\.\d+\.\d+/);
});

// --- causeway check

function checkChanged(name, changes) {
  const dir = join(world.dir, name);
  mkdirSync(dir, { recursive: true });
  for (const [file, text] of Object.entries(projectCatalogue(changes))) writeFileSync(join(dir, file), text);
  return runCauseway(['check', '--catalogue', join(dir, 'asyncapi.yaml')]);
}

test('check accepts the catalogue of the project', async () => {
  const end = await runCauseway(['check', '--catalogue', join(root, 'asyncapi/asyncapi.yaml')]);
  assert.equal(end.code, 0, end.stdout + end.stderr);
});

const original = projectCatalogue();
const lineOf = (file, part) => original[file].slice(0, original[file].indexOf(part)).split('\n').length;

const swap = (file, part, other) => ({ [file]: (text) => text.replace(part, other) });
const SPELT_WRONG = swap('asyncapi.yaml', '        - admin-orders\n', '        - admin-ordres\n');
const NOBODY = swap('rooms.yaml', 'lookup: user\n', 'lookup: nobody\n');

const FAULTS = [
  ['a room that is not declared', 'admin-ordres', SPELT_WRONG],
  ['a lookup that is not declared', 'nobody', NOBODY],
  ['an unknown field of x-causeway', 'form', swap('asyncapi.yaml', '      from:\n', '      form:\n')],
  ['a template that does not close', 'city-{city_id', swap('asyncapi.yaml', "'city-{city_id}-orders'\n  sendOrder", "'city-{city_id-orders'\n  sendOrder")],
  ['a message that does not exist', 'sendNewOrder', swap('asyncapi.yaml', "$ref: '#/channels/orders/messages/orderCreated'\n      to", "$ref: '#/channels/orders/messages/noSuchMessage'\n      to")],
  ['a document of another kind', 'asyncapi', swap('asyncapi.yaml', 'asyncapi: 3.0.0', 'asyncapi: 2.6.0')],
];

for (const [what, named, changes] of FAULTS) {
  test(`check finds ${what} and says where`, async () => {
    const end = await checkChanged('broken', changes);
    assert.notEqual(end.code, 0);
    const said = end.stdout + end.stderr;
    assert.ok(said.includes(named), said);
    assert.match(said, new RegExp(`broken/${Object.keys(changes)[0].replace('.', '\\.')}:\\d+`));
  });
}

test('check reports every fault, each with its file and line', async () => {
  const end = await checkChanged('faulty', { ...NOBODY, ...SPELT_WRONG });
  const said = end.stdout + end.stderr;
  const places = [['rooms', 'lookup: user\n'], ['asyncapi', '        - admin-orders\n']];
  for (const [file, part] of places) {
    assert.match(said, new RegExp(`faulty/${file}\\.yaml:${lineOf(`${file}.yaml`, part)}\\b`), said);
  }
});

test('check --database has every lookup prepared there, and says which statement is at fault and why', async () => {
  const check = async (text, url = world.databaseUrl) => {
    const dir = join(world.dir, 'lookups');
    mkdirSync(dir, { recursive: true });
    for (const [file, content] of Object.entries(projectCatalogue({ 'rooms.yaml': text }))) writeFileSync(join(dir, file), content);
    return runCauseway(['check', '--catalogue', join(dir, 'asyncapi.yaml'), '--database', url]);
  };
  const fine = await check(undefined);
  assert.equal(fine.code, 0, fine.stderr);
  const faults = await check((text) => text
    .replace('SELECT id, role FROM users WHERE id = $1', 'SELECT id, rank FROM users WHERE id = $1')
    .replace('SELECT city_id FROM manager_cities WHERE user_id = $1', 'DELETE FROM manager_cities WHERE user_id = $1')
    .replace('SELECT chat_id AS "chatId" FROM', 'SELECT chat_id AS "chatId" FRM'));
  assert.equal(faults.code, 1);
  const lines = faults.stderr.trim().split('\n').filter((line) => line.includes('#/'));
  assert.equal(lines.length, 3, faults.stderr);
  for (const [i, [name, why]] of [['user', /column "rank" does not exist/], ['cities-of-manager', /gives no rows/], ['chats-of-user', /syntax error/]].entries()) {
    assert.match(lines[i], new RegExp(`lookups/rooms\\.yaml:\\d+: #/lookups/${name}/sql: lookup '${name}': `));
    assert.match(lines[i], why);
    assert.match(lines[i], /; the database must take the statement$/);
  }
  const away = await check(undefined, 'postgresql://nobody@127.0.0.1:1/nothing');
  assert.equal(away.code, 1);
  assert.match(away.stderr, /127\.0\.0\.1/);
});

test('check survives a document that is no YAML, empty, or a directory', async () => {
  for (const [name, text] of [['garbage', '{[}]: &x *y\n\t- "'], ['empty', ''], ['bomb', `a: &a [x,x,x,x,x,x,x,x,x,x]\n${'bcdefghi'.split('').map((c, i) => `${c}: &${c} [${Array(10).fill(`*${'abcdefghi'[i]}`)}]\n`).join('')}`]]) {
    const file = join(world.dir, `${name}.yaml`);
    writeFileSync(file, text);
    const end = await runCauseway(['check', '--catalogue', file]);
    assert.ok(end.code > 0 && end.code !== 99, `${name}: ${end.code} ${end.signal} ${end.stderr}`);
    assert.ok((end.stdout + end.stderr).includes(`${name}.yaml`));
  }
  const end = await runCauseway(['check', '--catalogue', world.dir]);
  assert.ok(end.code > 0 && end.code !== 99);
});

test('serve refuses a broken catalogue with status 78 and the place of the fault', async () => {
  await checkChanged('refused', NOBODY);
  const end = await serve({ CATALOGUE: join(world.dir, 'refused/asyncapi.yaml') });
  assert.equal(end.code, CONFIG_ERROR, end.stderr);
  assert.match(end.stderr, new RegExp(`refused/rooms\\.yaml:${lineOf('rooms.yaml', 'lookup: user\n')}\\b`));
});

test('the bridges end in good health', () => world.finish());
