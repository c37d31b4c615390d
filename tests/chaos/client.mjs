// A client that is cut again and again and resumes as the protocol says: send back the last cursor that any message carried.
// All it sees becomes rows. Three things it knows beyond that rule, because each replays from an older cursor than the last:
//   a resume by message counts only once `resumed` was seen; until then it is asked again, with the same cursor;
//   a room that was joined late counts only once `room-joined` was seen; until then it is joined again, with the same cursor;
//   a room whose join is still open is not among the `rooms` of a resume.
import WebSocket from 'ws';
import { FLAG, KIND, NONE, hashOf } from './history.mjs';

const DATA = Buffer.from('"data":');
const DATA_END = Buffer.from(',"z":0}');

export class ChaosClient {
  /* spec: {name, token, topics: [name], requested: [{room, name}], rooms: how many};
     shared: {clock, rng, targets, tempo, cuts, modes}. */
  constructor(spec, shared, rows, note) {
    Object.assign(this, { spec, shared, rows, note });
    this.cursor = null; // {text, row}
    this.pending = null; // the cursor of a resume by message
    this.joined = new Set();
    this.retry = new Map(); // room -> the cursor of a join
    this.instance = -1;
    this.calm = false;
    this.away = false;
    this.deliveries = 0;
    this.markers = new Set();
    this.markersWanted = Infinity;
    this.rooms = new Map(spec.requested.map(({ room, name }) => [name, room]));
  }

  row(kind, flags = 0, part = 0, a = 0, b = 0, c = 0, d = 0) {
    return this.rows.push(kind, flags, part, this.shared.clock.ticks(), a, b, c, d);
  }

  // --- connecting

  connect() {
    clearTimeout(this.timer);
    if (this.stopped || this.away) return;
    const target = this.chooseTarget();
    if (!target) {
      this.timer = setTimeout(() => this.connect(), 100);
      return;
    }
    const mode = this.chooseMode();
    const sent = mode === 'query' || mode === 'rejoin' ? this.cursor : null;
    const names = mode === 'query' ? [...this.joined] : [];
    const query = [`token=${this.spec.token}`];
    if (sent) query.push(`cursor=${encodeURIComponent(sent.text)}`);
    if (names.length > 0) query.push(`rooms=${encodeURIComponent(names.join(','))}`);
    const socket = new WebSocket(`ws://127.0.0.1:${target.port}/?${query.join('&')}`, { perMessageDeflate: false, handshakeTimeout: 15000 });
    this.socket = socket;
    this.settledHere = false;
    socket.on('open', () => this.onOpen(socket, target, mode, sent, names));
    socket.on('message', (data) => { if (this.socket === socket) this.onMessage(data, mode); });
    socket.on('unexpected-response', (request, response) => {
      this.refused(target, response.statusCode, sent, `HTTP ${response.statusCode}`);
      request.destroy();
      response.resume();
      socket.emit('close', 0, '');
    });
    socket.on('error', (error) => {
      // Nobody listens, or the instance has just died: of no interest. Anything else should not happen.
      if (!this.opened && this.socket === socket && !/ECONNREFUSED|ECONNRESET|socket hang up|before the connection/.test(error.message)) {
        const bytes = error.rawPacket ? ` ${JSON.stringify(error.rawPacket.subarray(0, 120).toString('latin1'))}` : '';
        this.refused(target, 0, sent, `upgrade: ${error.message}${bytes}`);
      }
    });
    socket.on('close', (code, reason) => { if (this.socket === socket) this.onClose(code, String(reason)); });
  }

  refused(target, status, sent, why) {
    this.row(KIND.CONNECT, 0, 0, target.instance, target.incarnation, sent ? sent.row : NONE, this.note('refused'));
    this.row(KIND.CLOSE, 0, 0, status, 0, this.note(why));
  }

  chooseTarget() {
    const { targets, rng } = this.shared;
    if (targets.length === 0) return null;
    const same = targets.find((target) => target.instance === this.instance);
    return same && rng.chance(0.6) ? same : rng.pick(targets);
  }

  chooseMode() {
    const { rng, modes } = this.shared;
    if (this.pending) return 'message';
    if (!this.cursor) return 'now';
    if (this.retry.size > 0) return 'rejoin';
    const draw = rng.next();
    if (draw < modes.message) return 'message';
    return draw < modes.message + modes.rejoin && this.joined.size > 0 ? 'rejoin' : 'query';
  }

  onOpen(socket, target, mode, sent, names) {
    if (this.socket !== socket) return;
    this.opened = true;
    this.instance = target.instance;
    if (mode === 'rejoin') for (const name of this.joined) if (!this.retry.has(name)) this.retry.set(name, this.cursor);
    if (mode === 'message') this.pending ??= this.cursor;
    this.row(KIND.CONNECT, 0, 0, target.instance, target.incarnation, sent ? sent.row : NONE,
      this.note(sent ? `${mode} ${sent.text} ${names.join(',')}` : mode));
    this.asked = sent !== null || mode === 'message';
    this.resumed = false;
    this.welcomed = false;
    if (!this.calm) this.timer = setTimeout(() => this.cut(), this.shared.rng.spread(this.shared.tempo.stay));
  }

  onConnected() {
    this.welcomed = true;
    if (this.pending) {
      const rooms = [...this.joined].filter((name) => !this.retry.has(name));
      this.row(KIND.RESUME, 0, 0, 0, 0, this.pending.row, this.note(`resume ${this.pending.text} ${rooms.join(',')}`));
      this.send({ type: 'resume', data: { cursor: this.pending.text, rooms } });
    }
    for (const [name, room] of this.rooms) {
      const cursor = this.retry.get(name);
      if (cursor || !this.joined.has(name)) this.join(name, room, cursor);
    }
  }

  join(name, room, cursor) {
    this.row(KIND.JOIN, 0, 0, room, 0, cursor ? cursor.row : NONE);
    this.send({ type: 'join-room', data: cursor ? { roomId: name, cursor: cursor.text } : { roomId: name } });
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // --- what comes

  onMessage(data) {
    const message = JSON.parse(data);
    const carries = typeof message.cursor === 'string';
    const flags = (carries ? FLAG.CURSOR : 0) | (carries && message.cursor.length > 64 ? FLAG.LONG_CURSOR : 0);
    const handler = HANDLERS[message.type];
    const row = handler ? handler.call(this, message, flags, data) : this.onOther(message, flags);
    if (carries) this.cursor = { text: message.cursor, row };
  }

  onEvent(message, flags, data) {
    const [topic, partition, offset, hash] = splitId(message.id);
    const from = data.indexOf(DATA) + DATA.length;
    const to = data.indexOf(DATA_END, from) + DATA_END.length;
    const marks = (message.redelivered === true ? FLAG.REDELIVERED : 0) | (message.backfill === true ? FLAG.BACKFILL : 0);
    const part = this.spec.topics.indexOf(topic) * 1024 + partition;
    this.deliveries++;
    if (message.data.last === 1) this.markers.add(message.data.n);
    return this.row(KIND.EVENT, flags | marks, part, message.data.n, offset, hash, hashOf(data, from, to));
  }

  onGap(message, flags) {
    const { topic, partition, from, to, reason } = message.data;
    const number = (text) => (/^\d+$/.test(String(text)) ? Number(text) : NONE);
    return this.row(KIND.GAP, flags, this.spec.topics.indexOf(topic) * 1024 + Number(partition), number(from), number(to), this.note(String(reason)));
  }

  onJoined(message, flags) {
    const name = message.data.roomId;
    const row = this.row(KIND.JOINED, flags, 0, this.rooms.get(name) ?? NONE);
    this.joined.add(name);
    this.retry.delete(name);
    return row;
  }

  onError(message, flags) {
    const { code, message: text, roomId } = message.data ?? {};
    const row = this.row(KIND.ERROR, flags, 0, 0, 0, this.note([code, text, roomId].filter(Boolean).join(' ')));
    if (code !== 'unavailable') return row;
    // Asked again while the connection lasts.
    const { socket } = this;
    setTimeout(() => {
      if (this.socket === socket && this.rooms.has(roomId)) this.join(roomId, this.rooms.get(roomId), this.retry.get(roomId));
    }, 300);
    return row;
  }

  onOther(message, flags) {
    return flags & FLAG.CURSOR ? this.row(KIND.CURSOR, flags) : this.rows.length - 1;
  }

  onClose(code, reason) {
    clearTimeout(this.timer);
    if (this.opened) this.row(KIND.CLOSE, 0, 0, code, 0, this.note(reason));
    this.opened = false;
    this.socket = null;
    this.welcomed = false;
    if (!this.stopped && !this.away) this.timer = setTimeout(() => this.connect(), this.calm ? 50 : this.shared.rng.spread(this.shared.tempo.offline));
  }

  // --- trouble of the client's own making

  cut() {
    const { rng, tempo, cuts } = this.shared;
    const way = rng.weighted(cuts);
    if (way === 'pause') {
      this.socket.pause();
      this.timer = setTimeout(() => {
        this.socket?.resume();
        this.timer = setTimeout(() => this.cut(), rng.spread(tempo.stay));
      }, rng.spread(tempo.pause));
    } else if (way === 'close') {
      this.socket.close(1000);
      this.timer = setTimeout(() => this.drop('rst'), 1000);
    } else {
      this.drop(way);
    }
  }

  drop(way) {
    const { socket } = this;
    if (!socket) return;
    if (way === 'rst' && socket._socket) socket._socket.resetAndDestroy();
    socket.terminate();
    if (this.socket !== socket) return;
    this.onClose(1006, way);
  }

  leave() {
    this.away = true;
    clearTimeout(this.timer);
    this.drop('rst');
  }

  comeBack() {
    if (!this.away) return;
    this.away = false;
    this.connect();
  }

  becomeCalm() {
    this.calm = true;
    this.away = false;
    clearTimeout(this.timer);
    if (this.socket) this.socket.resume?.();
    else this.connect();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.opened) this.row(KIND.CLOSE, 0, 0, 1000, 0, this.note('the end'));
    const { socket } = this;
    this.socket = null;
    socket?.terminate();
  }

  get settled() {
    return this.opened && this.welcomed && (!this.asked || this.resumed) && !this.pending && this.retry.size === 0
      && this.joined.size === this.rooms.size && this.markers.size >= this.markersWanted;
  }
}

const HANDLERS = {
  note: ChaosClient.prototype.onEvent,
  connected(message, flags) {
    const row = this.row(KIND.CONNECTED, flags);
    this.onConnected();
    return row;
  },
  gap: ChaosClient.prototype.onGap,
  resumed(message, flags) {
    this.resumed = true;
    this.pending = null;
    return this.row(KIND.RESUMED, flags);
  },
  'room-joined': ChaosClient.prototype.onJoined,
  error: ChaosClient.prototype.onError,
};

// topic:partition:offset:hash
function splitId(id) {
  const parts = String(id).split(':');
  return [parts.slice(0, -3).join(':'), Number(parts.at(-3)), Number(parts.at(-2)), parseInt(parts.at(-1), 16)];
}
