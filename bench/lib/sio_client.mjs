// Socket.IO clients of any server, in a process of its own. Arguments: URL of the server, token.
//   poll COUNT   -> polling  (COUNT sessions that each hold a GET, over one kept connection)
//   dance COUNT  -> danced   (COUNT times, one after the other: the official client from io() to its upgrade)
//   drop         -> dropped
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';

const [url, token] = process.argv.slice(2);
const { port } = new URL(url);
const AT_ONCE = 64;
const say = (event, more) => console.log(JSON.stringify({ event, ...more }));
const sockets = new Set();

/* One HTTP connection: requests, and the body of each answer. */
class Line {
  constructor() {
    this.text = '';
    this.socket = connect({ port: Number(port), host: '127.0.0.1' });
    this.socket.setNoDelay(true).on('data', (data) => this.take(data.toString()));
    this.socket.on('error', (error) => this.failed?.(error));
    this.socket.on('close', () => this.failed?.(new Error('closed by the server')));
    sockets.add(this.socket);
  }

  take(data) {
    this.text += data;
    const head = this.text.indexOf('\r\n\r\n');
    const size = Number(/content-length: (\d+)/i.exec(this.text)?.[1]);
    if (head < 0 || this.text.length < head + 4 + size) return;
    const body = this.text.slice(head + 4);
    this.text = '';
    this.done?.(body);
  }

  ask(method, sid, body = '') {
    this.socket.write(`${method} /socket.io/?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''} HTTP/1.1\r\n` +
      `Host: 127.0.0.1\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return new Promise((done, failed) => Object.assign(this, { done, failed }));
  }
}

/* Connected, and a poll is held, again and again. */
async function poller() {
  const line = new Line();
  const { sid } = JSON.parse((await line.ask('GET')).slice(1));
  await line.ask('POST', sid, `40${JSON.stringify({ token })}`);
  const answer = await line.ask('GET', sid);
  if (!answer.startsWith('40')) throw new Error(`not connected: ${answer}`);
  const hold = () => line.ask('GET', sid).then(hold, () => {});
  hold();
}

async function poll(count) {
  let next = 0;
  const worker = async () => {
    while (next++ < count) await poller();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  say('polling', { count });
}

function drop() {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  say('dropped');
}

/* Milliseconds from io() to `connect`, and to the upgrade. */
function once() {
  return new Promise((done, failed) => {
    const began = performance.now();
    const socket = io(url, { auth: { token }, forceNew: true });
    let connected;
    let upgraded;
    const both = () => {
      if (!connected || !upgraded) return;
      socket.close();
      done({ connected, upgraded });
    };
    socket.on('connect_error', failed);
    socket.on('connect', () => {
      connected = performance.now() - began;
      both();
    });
    socket.io.engine.once('upgrade', () => {
      upgraded = performance.now() - began;
      both();
    });
  });
}

async function dance(count) {
  const times = [];
  for (let i = 0; i < count; i++) times.push(await once());
  const at = (what, share) => times.map((t) => t[what]).sort((a, b) => a - b)[Math.floor(share * (count - 1))];
  say('danced', Object.fromEntries(['connected', 'upgraded'].map((what) =>
    [what, { p50: at(what, 0.5), p99: at(what, 0.99) }])));
}

const commands = { poll, dance, drop };
createInterface({ input: process.stdin }).on('line', async (line) => {
  const [name, count] = line.split(' ');
  await commands[name](Number(count)); // a failure ends the process
}).on('close', () => process.exit(0));
