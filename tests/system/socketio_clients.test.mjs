// The official client of three ages, the one for Python, and the newest in a browser: each with its default options
// connects, upgrades, gets events and acknowledgements, and survives a restart of the bridge.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { openWorld, token } from './lib/bridge.mjs';
import { BUYER } from './lib/orders.mjs';
import { cleanEnvironment, findProgram, freePorts, root, start, stop, until } from './lib/processes.mjs';
import { seedsCatalogue } from './lib/seeds.mjs';

const world = await openWorld('socketio_clients', { catalogue: seedsCatalogue() });
const [port] = await freePorts(1);
let bridge = await world.serve({ PORT: String(port) });
const auth = () => ({ token: token({ userId: BUYER }) });

let next = 1;
async function publish(count) {
  const numbers = Array.from({ length: count }, () => next++);
  for (const n of numbers) await world.publish('tasks.v1', 'task.updated', { id: 'task-9', n });
  return numbers;
}

/* Every client shows the same: {connects, transport(), numbers, answers, ask()}. */
async function story(client) {
  await until('the upgrade', () => client.connects === 1 && client.transport() === 'websocket', { timeout: 20000 });
  await client.ask('subscribe.task', { taskId: 'task-9' });
  await until('the acknowledgement', () => client.answers.length === 1);
  assert.deepEqual(client.answers[0], { ok: true, roomId: 'task:task-9' });
  const before = await publish(5);
  await until('the events', () => client.numbers.length >= 5);
  await bridge.terminate();
  const missed = await publish(5);
  bridge = await world.serve({ PORT: String(port) });
  await until('the client to be back', () => client.connects === 2, { timeout: 20000 });
  await until('what it missed', () => new Set(client.numbers).size >= 10, { timeout: 20000 });
  await until('the upgrade', () => client.transport() === 'websocket');
  const after = await publish(5);
  await until('new events', () => client.numbers.at(-1) === after.at(-1));
  assert.deepEqual([...new Set(client.numbers)], [...before, ...missed, ...after]);
  await client.close();
}

function nodeClient(io, recovers) {
  const socket = io(`ws://localhost:${port}`, { auth: auth() });
  const client = { connects: 0, numbers: [], answers: [], transport: () => socket.io.engine.transport.name, close: () => socket.close() };
  client.ask = (event, data) => socket.emit(event, data, (answer) => client.answers.push(answer));
  socket.on('connect', () => { client.connects++; });
  socket.on('task.updated', (data) => client.numbers.push(data.n));
  if (!recovers) socket.on('cursor', (cursor) => { socket.auth.cursor = cursor; });
  return client;
}

for (const [name, recovers] of [['socket.io-client-4.0', false], ['socket.io-client-4.4', false], ['socket.io-client', true]]) {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json')));
  test(`socket.io-client ${version} in Node`, async () => {
    const { io } = await import(name);
    await story(nodeClient(io, recovers));
  });
}

/* A client elsewhere tells what happens in lines of JSON, and is told what to emit. */
function remote(tell) {
  const client = { connects: 0, numbers: [], answers: [], name: '', transport: () => client.name };
  client.ask = (event, data) => tell({ event, data });
  client.heard = ({ connect, transport, n, answer }) => {
    if (connect) client.connects++;
    if (transport) client.name = transport;
    if (n) client.numbers.push(n);
    if (answer) client.answers.push(answer);
  };
  return client;
}

test('python-socketio', async () => {
  const child = spawn('/usr/bin/python3', [join(root, 'tests/system/lib/socketio_client.py'), `http://localhost:${port}`, auth().token],
    { env: cleanEnvironment(), stdio: ['pipe', 'pipe', 'inherit'] });
  const client = remote((command) => child.stdin.write(`${JSON.stringify(command)}\n`));
  createInterface({ input: child.stdout }).on('line', (line) => client.heard(JSON.parse(line)));
  client.close = () => child.stdin.end();
  const ended = new Promise((done) => child.once('exit', done));
  try {
    await story(client);
    assert.equal(await ended, 0);
  } finally {
    child.kill('SIGKILL');
  }
});

// --- a browser

const browser = ['chromium-headless-shell', 'chromium', 'google-chrome'].map(findProgram).find(Boolean);
const script = readFileSync(join(root, 'node_modules/socket.io-client/dist/socket.io.min.js'));
const page = () => `<!doctype html><script src="/socket.io.js"></script><script>
const tell = (what) => fetch('/heard', { method: 'POST', body: JSON.stringify(what) });
const socket = io('http://127.0.0.1:${port}', { auth: ${JSON.stringify(auth())} });
let transport;
setInterval(() => {
  if (socket.io.engine.transport?.name !== transport) tell({ transport: transport = socket.io.engine.transport.name });
}, 20);
socket.on('connect', () => tell({ connect: true }));
socket.on('task.updated', ({ n }) => tell({ n }));
new EventSource('/commands').onmessage = ({ data }) => {
  const { event, data: argument } = JSON.parse(data);
  socket.emit(event, argument, (answer) => tell({ answer }));
};
</script>`;

/* Its own page, of another origin than the bridge: what it hears comes back by fetch. */
async function openPage() {
  let commands;
  const client = remote((command) => commands.write(`data: ${JSON.stringify(command)}\n\n`));
  const server = createServer((request, response) => {
    if (request.url === '/heard') {
      let body = '';
      request.on('data', (chunk) => { body += chunk; }).on('end', () => {
        client.heard(JSON.parse(body));
        response.end();
      });
    } else if (request.url === '/commands') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      commands = response;
      commands.write(':\n\n');
    } else {
      response.writeHead(200, { 'Content-Type': request.url === '/socket.io.js' ? 'text/javascript' : 'text/html' });
      response.end(request.url === '/socket.io.js' ? script : page());
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const child = start(browser, ['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-port=0',
    `--user-data-dir=${join(world.dir, 'browser')}`, `http://127.0.0.1:${server.address().port}/`], { log: join(world.dir, 'browser.log'), name: 'browser' });
  client.close = async () => {
    await stop(child);
    server.closeAllConnections?.();
    server.close();
  };
  return client;
}

test('socket.io-client in a Chromium page', { skip: browser ? false : 'no browser; ./dev test --chromium installs one' }, async () => {
  await story(await openPage());
});

test('finish', () => world.finish());
