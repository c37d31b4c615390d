// Clients of the bridge: the ws package, which remembers all it received, and a bare socket for what ws would never send.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect as connectSocket } from 'node:net';
import WebSocket from 'ws';
import { token as makeToken } from './bridge.mjs';
import { hopeless, until } from './processes.mjs';

const PATIENCE = 8000;

/* Connects and waits for `connected` (unless welcome is false). `user`: shorthand for a token with that `sub`. */
export async function connect(bridge, options = {}) {
  const answer = await attempt(bridge, options);
  assert.ok(answer.client, `the upgrade was refused: ${answer.status} ${answer.body}`);
  if (options.welcome !== false) answer.client.welcome = await answer.client.expect('connected');
  return answer.client;
}

/* `raw`: the end of the URL, as it stands. {client} once upgraded, else {status, headers, body} of the refusal. */
export function attempt(bridge, { user, token, headers, protocols, origin, path, query, raw = '', port, host, autoPong = true } = {}) {
  const credential = token ?? (user === undefined ? undefined : makeToken({ sub: user }));
  const url = bridge.url({ token: credential, path, query, port, host }) + raw;
  const socket = new WebSocket(url, protocols ?? [], { headers, origin, autoPong, perMessageDeflate: false });
  return new Promise((done, failed) => {
    const client = new Client(socket);
    socket.once('open', () => done({ client }));
    socket.once('error', failed);
    socket.once('unexpected-response', (request, response) => {
      let body = '';
      response.on('data', (chunk) => { body += chunk; });
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, body }));
    });
  });
}

export class Client {
  constructor(socket) {
    this.socket = socket;
    this.messages = [];
    this.read = 0;
    this.pings = [];
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? { binary: data } : JSON.parse(data.toString());
      Object.defineProperty(message, 'at', { value: performance.now() });
      Object.defineProperty(message, 'text', { value: isBinary ? null : data.toString() });
      this.messages.push(message);
      this.onMessage?.(message);
    });
    socket.on('ping', () => this.pings.push(performance.now()));
    socket.on('error', () => {});
    this.closed = new Promise((done) => {
      socket.once('close', (code, reason) => {
        this.end = { code, reason: reason.toString(), at: performance.now() };
        done(this.end);
      });
    });
  }

  // The next message that fits (a type or a function), past those already looked at. Those before it stay in `messages`.
  async expect(what, timeout = PATIENCE) {
    const fits = typeof what === 'function' ? what : (message) => message.type === what;
    const name = typeof what === 'function' ? 'a fitting message' : `"${what}"`;
    return until(name, () => {
      while (this.read < this.messages.length) {
        const message = this.messages[this.read++];
        if (fits(message)) return message;
      }
      if (this.end) throw hopeless(`closed with ${this.end.code} ${this.end.reason}`);
      return null;
    }, { timeout, every: 5 }).catch((error) => {
      throw new Error(`${error.message}; received ${JSON.stringify(this.messages.slice(-5))}`);
    });
  }

  of(type) {
    return this.messages.filter((message) => message.type === type);
  }

  send(message) {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  // Sends and returns the first message that follows and fits.
  async ask(message, what) {
    this.read = this.messages.length;
    this.send(message);
    return this.expect(what);
  }

  async closing(timeout = PATIENCE) {
    await until('the connection to close', () => this.end, { timeout, every: 5 });
    return this.end;
  }

  pause() {
    this.socket.pause();
  }

  resume() {
    this.socket.resume();
  }

  async close() {
    if (this.end) return this.end;
    this.socket.close(1000);
    return this.closing();
  }

  terminate() {
    this.socket.terminate();
  }
}

// --- a bare socket

/* Sends `text` as it is over TCP and collects the answer: {received, closed}. */
export function bareSocket(bridge) {
  return new Promise((done, failed) => {
    const socket = connectSocket(bridge.port, '127.0.0.1', () => done(new BareSocket(socket)));
    socket.once('error', failed);
  });
}

class BareSocket {
  constructor(socket) {
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.closed = false;
    socket.on('data', (chunk) => { this.received = Buffer.concat([this.received, chunk]); });
    socket.on('error', () => { this.closed = true; });
    socket.on('close', () => { this.closed = true; });
  }

  write(data) {
    this.socket.write(data);
  }

  destroy() {
    this.socket.destroy();
  }

  async closing(timeout = PATIENCE) {
    await until('the socket to be closed', () => this.closed, { timeout, every: 5 });
  }

  // The status line and body of an HTTP answer, once its head is complete.
  async answer(timeout = PATIENCE) {
    const text = await until('an HTTP answer', () => {
      const all = this.received.toString('latin1');
      return all.includes('\r\n\r\n') ? all : null;
    }, { timeout, every: 5 });
    return { status: Number(text.split(' ')[1]), text };
  }
}

/* A WebSocket connection whose frames are written by hand. */
export async function bareClient(bridge, { user, token } = {}) {
  const bare = await bareSocket(bridge);
  const credential = token ?? makeToken({ sub: user });
  bare.write(`GET /?token=${credential} HTTP/1.1\r\nHost: 127.0.0.1:${bridge.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
  const { status, text } = await bare.answer();
  assert.equal(status, 101, text);
  bare.received = bare.received.subarray(text.indexOf('\r\n\r\n') + 4);
  bare.frames = [];
  await frameOf(bare, (frame) => frame.text?.startsWith('{"type":"connected"'));
  return bare;
}

/* A client frame. `fin`, `rsv`, `mask` and `length` (as claimed in the header) may be made wrong on purpose. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length } = {}) {
  const body = Buffer.from(payload);
  const claimed = BigInt(length ?? body.length);
  const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
  const masked = mask ? 0x80 : 0;
  let extended = Buffer.alloc(0);
  if (claimed < 126n) head.push(masked | Number(claimed));
  else if (claimed < 65536n) {
    head.push(masked | 126);
    extended = Buffer.alloc(2);
    extended.writeUInt16BE(Number(claimed));
  } else {
    head.push(masked | 127);
    extended = Buffer.alloc(8);
    extended.writeBigUInt64BE(claimed);
  }
  const key = mask ? randomBytes(4) : Buffer.alloc(0);
  const coded = mask ? Buffer.from(body.map((byte, i) => byte ^ key[i % 4])) : body;
  return Buffer.concat([Buffer.from(head), extended, key, coded]);
}

function takeFrame(bare) {
  const data = bare.received;
  if (data.length < 2) return null;
  let length = data[1] & 0x7f;
  let at = 2;
  if (length === 126) {
    if (data.length < 4) return null;
    length = data.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (data.length < 10) return null;
    length = Number(data.readBigUInt64BE(2));
    at = 10;
  }
  if (data.length < at + length) return null;
  bare.received = data.subarray(at + length);
  const opcode = data[0] & 0x0f;
  const payload = data.subarray(at, at + length);
  const found = { opcode, payload };
  if (opcode === 1) found.text = payload.toString();
  if (opcode === 8) Object.assign(found, { code: length >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() });
  return found;
}

/* The next frame from the bridge that fits. */
export async function frameOf(bare, fits, timeout = PATIENCE) {
  return until('a frame', () => {
    for (let next = takeFrame(bare); next; next = takeFrame(bare)) {
      bare.frames.push(next);
      if (fits(next)) return next;
    }
    if (bare.closed) throw hopeless('the connection ended');
    return null;
  }, { timeout, every: 5 });
}
