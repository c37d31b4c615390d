// A client of Socket.IO among the others: the official one with its default options (and one that only polls), which resumes by
// its own connection-state recovery. What it sees becomes the same rows; an event has no id and no marks there, only its payload.
import { io } from 'socket.io-client';
import { ChaosClient } from './client.mjs';
import { FLAG, KIND, NONE, hashOf } from './history.mjs';

const CURSOR_MAX = 64; // without the rooms that follow it

/* spec.transports: undefined for the default ones. */
export class SocketioClient extends ChaosClient {
  connect() {
    clearTimeout(this.timer);
    if (this.stopped || this.away) return;
    if (this.io) {
      this.socket.connect();
      return;
    }
    const target = this.chooseTarget();
    if (!target) {
      this.timer = setTimeout(() => this.connect(), 100);
      return;
    }
    const { transports, token } = this.spec;
    this.socket = io(url(target), { auth: { token }, forceNew: true, ...(transports && { transports }) });
    this.io = this.socket.io;
    this.target = target;
    this.listen();
  }

  listen() {
    const { socket } = this;
    this.io.on('reconnect_attempt', () => this.turn());
    this.io.on('open', () => this.onEngine());
    this.io.on('close', (reason) => this.onEnd(reason));
    socket.on('connect', () => this.onWelcome());
    socket.on('note', (data) => this.onNote(data));
    socket.on('cursor', (text) => this.onCursor(text));
    socket.on('gap', (data) => {
      this.unexplained = false;
      this.onGap({ data }, 0);
    });
    socket.on('resumed', () => this.onResumed());
    socket.on('error', (data) => this.onError({ data }, 0));
    socket.on('connect_error', (error) => {
      if (error.data) this.onError({ data: { code: error.message, message: error.data.message } }, 0);
    });
  }

  turn() {
    this.target = this.chooseTarget() ?? this.target;
    this.io.uri = url(this.target);
  }

  // CONNECT is on its way, with what the client has of its own.
  onEngine() {
    const sent = this.socket._pid === undefined ? null : this.cursor;
    this.instance = this.target.instance;
    this.opened = true;
    this.welcomed = false;
    this.resumed = false;
    this.asked = sent !== null;
    this.row(KIND.CONNECT, 0, 0, this.target.instance, this.target.incarnation, sent ? sent.row : NONE,
      this.note(sent ? `offset ${this.socket._lastOffset}` : 'now'));
    if (!this.calm) this.timer = setTimeout(() => this.cut(), this.shared.rng.spread(this.shared.tempo.stay));
  }

  onWelcome() {
    this.welcomed = true;
    this.row(KIND.CONNECTED);
    this.unexplained = this.asked && !this.socket.recovered;
    if (!this.socket.recovered) this.joined.clear();
    for (const [name, room] of this.rooms) if (!this.joined.has(name)) this.join(name, room);
  }

  // Who is not recovered misses something, and is told what.
  onResumed() {
    this.resumed = true;
    this.row(KIND.RESUMED);
    if (this.unexplained) this.onError({ data: { code: 'not-recovered' } }, 0);
  }

  join(name, room) {
    this.row(KIND.JOIN, 0, 0, room, 0, NONE);
    this.socket.emit('join-room', { roomId: name }, (answer) => {
      if (answer.ok) this.onJoined({ data: { roomId: name } }, 0);
      else this.onError({ data: { roomId: name, ...answer.error } }, 0);
    });
  }

  onNote(data) {
    this.deliveries++;
    if (data.last === 1) this.markers.add(data.n);
    this.row(KIND.EVENT, FLAG.ANONYMOUS, 0, data.n, 0, 0, hashOf(Buffer.from(JSON.stringify(data))));
  }

  onCursor(text) {
    const [cursor] = text.split('~');
    this.cursor = { text, row: this.row(KIND.CURSOR, FLAG.CURSOR | (cursor.length > CURSOR_MAX ? FLAG.LONG_CURSOR : 0)) };
  }

  onEnd(reason) {
    clearTimeout(this.timer);
    if (this.opened) this.row(KIND.CLOSE, 0, 0, 1006, 0, this.note(reason));
    this.opened = false;
    this.welcomed = false;
  }

  // --- trouble of the client's own making

  cut() {
    const { rng, tempo, cuts } = this.shared;
    const way = rng.weighted(cuts);
    const wire = this.io.engine.transport.ws?._socket;
    if (way === 'pause' && wire) {
      wire.pause();
      this.timer = setTimeout(() => {
        wire.resume();
        this.timer = setTimeout(() => this.cut(), rng.spread(tempo.stay));
      }, rng.spread(tempo.pause));
    } else if (way === 'rst' && wire) {
      wire.resetAndDestroy();
    } else {
      this.io.engine.close();
    }
  }

  leave() {
    this.away = true;
    clearTimeout(this.timer);
    this.socket?.disconnect();
  }

  comeBack() {
    if (!this.away) return;
    this.away = false;
    if (this.io) this.turn();
    this.connect();
  }

  becomeCalm() {
    this.calm = true;
    clearTimeout(this.timer);
    this.io?.engine?.transport?.ws?._socket?.resume();
    if (this.away) this.comeBack();
    else if (!this.io) this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.opened) this.row(KIND.CLOSE, 0, 0, 1000, 0, this.note('the end'));
    this.opened = false;
    this.socket?.disconnect();
  }
}

const url = ({ port }) => `http://127.0.0.1:${port}`;
