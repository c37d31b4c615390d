// Engine.IO by hand: HTTP requests and WebSocket messages as no client library would send them.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import WebSocket from 'ws';
import { token as makeToken } from './bridge.mjs';
import { hopeless, until } from './processes.mjs';

const PATIENCE = 8000;
export const SEPARATOR = '\x1e';

const query = (fields) => Object.entries({ EIO: '4', transport: 'polling', ...fields })
  .filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${value}`).join('&');

/* One HTTP connection; answers come in the order of the requests. `bridge`: {port}, and {localAddress} to come from. */
export class Line {
  constructor(bridge) {
    this.received = Buffer.alloc(0);
    this.socket = connect({ port: bridge.port, host: '127.0.0.1', localAddress: bridge.localAddress });
    this.socket.setNoDelay(true);
    this.socket.on('data', (data) => { this.received = Buffer.concat([this.received, data]); });
    this.socket.on('error', () => {});
    this.socket.on('close', () => { this.closed = true; });
  }

  write(data) {
    this.socket.write(data);
  }

  /* `length`: what the head claims; null: no length at all. */
  send(method, fields, { body = '', headers = {}, length, path = '/socket.io/' } = {}) {
    const bytes = Buffer.from(body);
    const claimed = length === null ? [] : [`Content-Length: ${length ?? bytes.length}`];
    const lines = [`${method} ${path}?${typeof fields === 'string' ? fields : query(fields)} HTTP/1.1`, 'Host: 127.0.0.1',
      ...(method === 'GET' ? [] : claimed), ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
    this.socket.write(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), bytes]));
  }

  /* The next answer: {status, headers, body}. */
  async answer({ timeout = PATIENCE, head = false } = {}) {
    return until('an answer', () => {
      const end = this.received.indexOf('\r\n\r\n');
      if (end >= 0) {
        const [first, ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => /^([^:]+): *(.*)$/.exec(line)).map(([, name, value]) => [name.toLowerCase(), value]));
        const size = head ? 0 : Number(headers['content-length'] ?? 0);
        if (this.received.length >= end + 4 + size) {
          const body = this.received.subarray(end + 4, end + 4 + size).toString();
          this.received = this.received.subarray(end + 4 + size);
          return { status: Number(first.split(' ')[1]), headers, body };
        }
      }
      if (this.closed) throw hopeless('the connection ended without an answer');
      return null;
    }, { timeout, every: 2 });
  }

  async ask(method, fields, options = {}) {
    this.send(method, fields, options);
    return this.answer(options);
  }

  async closing(timeout = PATIENCE) {
    await until('the connection to end', () => this.closed, { timeout, every: 5 });
  }

  end() {
    this.socket.end();
  }

  reset() {
    this.socket.resetAndDestroy?.();
    this.socket.destroy();
  }
}

/* One request on a connection of its own. */
export async function request(bridge, method, fields, options) {
  const line = new Line(bridge);
  const answer = await line.ask(method, fields, options);
  line.reset();
  return answer;
}

/* An Engine.IO session that polls: one connection for GETs, one for POSTs. */
export class Session {
  static async open(bridge, { user, namespace } = {}) {
    const session = new Session(bridge);
    const { status, body } = await session.line.ask('GET', {});
    assert.equal(status, 200, body);
    session.began = performance.now();
    session.handshake = JSON.parse(body.slice(1));
    session.sid = session.handshake.sid;
    if (user !== undefined) await session.connect(user, namespace);
    return session;
  }

  constructor(bridge) {
    this.bridge = bridge;
    this.line = new Line(bridge);
    this.posts = new Line(bridge);
  }

  hold() {
    this.line.send('GET', { sid: this.sid });
  }

  held(timeout) {
    return this.line.answer({ timeout });
  }

  async get(timeout) {
    this.hold();
    return this.held(timeout);
  }

  post(body) {
    return this.posts.ask('POST', { sid: this.sid }, { body });
  }

  /* CONNECT, and what it is answered with. */
  async connect(user, namespace = '') {
    const head = namespace ? `40${namespace},` : '40';
    assert.equal((await this.post(`${head}${JSON.stringify({ token: makeToken({ sub: user }) })}`)).body, 'ok');
    const { body } = await this.get();
    assert.ok(body.startsWith(`${head}{"sid"`), body);
    return body;
  }

  /* The first packet of any poll that begins so. */
  async packet(start) {
    for (;;) {
      const { status, body } = await this.get();
      assert.equal(status, 200);
      const found = body.split(SEPARATOR).find((packet) => packet.startsWith(start));
      if (found !== undefined) return found;
    }
  }

  wire() {
    return Wire.open(this.bridge, { sid: this.sid });
  }

  /* Is it still known? A new GET would be held, so it is asked in a way that is refused at once. */
  async gone() {
    const { status, body } = await request(this.bridge, 'PUT', { sid: this.sid });
    return status === 400 && body === '{"code":1,"message":"Session ID unknown"}';
  }

  async isGone(timeout = PATIENCE) {
    await until('the session to be gone', () => this.gone(), { timeout, every: 20 });
  }

  drop() {
    this.line.reset();
    this.posts.reset();
  }
}

/* A WebSocket of Engine.IO: a session of its own, or one that wants to become that of a session that polls. */
export class Wire {
  static async open(bridge, fields = {}, options = {}) {
    const url = `ws://127.0.0.1:${bridge.port}/socket.io/?${query({ transport: 'websocket', ...fields })}`;
    const socket = new WebSocket(url, { perMessageDeflate: false, ...options });
    const wire = new Wire(socket);
    return new Promise((done, failed) => {
      socket.once('open', () => done(wire));
      socket.once('error', failed);
      socket.once('unexpected-response', (_, response) => {
        let body = '';
        response.on('data', (chunk) => { body += chunk; });
        response.on('end', () => failed(Object.assign(new Error(`refused with ${response.statusCode}`), { status: response.statusCode, body })));
      });
    });
  }

  constructor(socket) {
    this.socket = socket;
    this.messages = [];
    socket.on('message', (data, isBinary) => this.messages.push(isBinary ? data : data.toString()));
    socket.on('error', () => {});
    socket.on('close', (code) => { this.end = code; });
  }

  send(data) {
    this.socket.send(data);
  }

  /* The next message, or the next that begins so; those before it are dropped. */
  async next(start = '', timeout = PATIENCE) {
    return until(`a message ${start}`, () => {
      while (this.messages.length > 0) {
        const message = this.messages.shift();
        if (Buffer.isBuffer(message) ? start === '' : message.startsWith(start)) return message;
      }
      if (this.end !== undefined) throw hopeless(`closed with ${this.end}`);
      return null;
    }, { timeout, every: 2 });
  }

  async closing(timeout = PATIENCE) {
    await until('the WebSocket to close', () => this.end !== undefined, { timeout, every: 2 });
    return this.end;
  }

  /* The greeting, then CONNECT to a namespace. */
  async connect(user, namespace = '') {
    const head = namespace ? `40${namespace},` : '40';
    this.send(`${head}${JSON.stringify({ token: makeToken({ sub: user }) })}`);
    return this.next(`${head}{"sid"`);
  }

  drop() {
    this.socket.terminate();
  }
}
