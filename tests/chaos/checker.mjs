// Judges a run: what each client received, against what the topics held. Pure: a history in, violations and figures out.
//
// A history is {
//   topics: [name],  rooms: [name],  events: Events,  truth: Truth (finished),
//   clients: [{name, anonymous: events come without ids and marks, automatic: [room], requested: [room], rows: () => Uint32Array, notes: () => [text]}],
//   lives: Map(part -> [time when life 1 was made, life 2, ...]),
//   heals: [{time, until, strict}],  after the time no fault works until the next one begins
//   born: [{part, time}],  partitions that were added
// } with times in ticks of the rows (history.mjs).
import { ClientWalk } from './walk.mjs';
import { NONE, NO_ROOM, PARTS_PER_TOPIC, STATE, TICKS } from './history.mjs';

export const RULES = {
  truth: 'the producers and the topics themselves disagree: nothing can be judged by them',
  loss: 'an event never came, and no gap says so',
  'resume-skips': 'a resume started later than what the client had, and no gap says so',
  'gap-unjustified': 'a gap declares lost what could still be read',
  'gap-twice': 'one hole was told by more than one gap',
  'gap-malformed': 'a gap does not say topic, partition, range and reason',
  'recreation-undeclared': 'a partition started over without a gap',
  phantom: 'an event came that no topic held',
  'id-payload': 'an id came with the payload of another record',
  payload: 'a payload is not, byte for byte, what was produced',
  'id-unstable': 'one event came with two ids',
  'id-ambiguous': 'two events came with one id',
  foreign: 'an event came to somebody whom it does not concern',
  order: 'first receipts of a partition do not ascend',
  'order-in-connection': 'a partition went back within one connection',
  'key-order': 'first receipts of a key do not ascend',
  'repeat-unmarked': 'a repeat carries neither redelivered nor backfill',
  'repeat-unmarked-tail': 'so does one of what came after the last cursor before a cut',
  'not-exact': 'a cursor led back past what was delivered, though it had room for all',
  'late-partition': 'a new partition was not read in time',
  late: 'somebody had not caught up in time after the faults were healed',
  'cursor-missing': 'connected came without a cursor',
  'cursor-long': 'a cursor has more than 64 bytes',
  'cursor-stale': 'events kept coming for too long without a cursor',
  'resumed-missing': 'the last resume of a client was never said to be complete',
  'upgrade-broken': 'the answer to an upgrade was no HTTP, or never came',
  'error-answer': 'something that clients may ask was answered with an error',
  'never-connected': 'a client was never let in',
};

export const DEFAULTS = {
  catchUp: 30_000, // ms after healing
  newPartition: 10_000, // ms until a new partition is read
  cursorSilence: 5_000, // ms of events without a cursor
  exactRecords: Infinity, // a cursor is exact where it was minted, as long as no more than so many events were produced since
  exactParts: 0, // ... and everywhere, as long as there are no more partitions
  newsMs: 20_000, // what has begun so lately, not everybody may know
  recreatedGap: true,
  evidence: 5, // violations shown per rule
};

export function check(history, options = {}) {
  const run = new Judgement(history, { ...DEFAULTS, ...options });
  run.checkTruth();
  for (const client of history.clients) new ClientWalk(run, client).walk();
  run.checkIds();
  run.checkBorn();
  return run.result();
}

class Judgement {
  constructor(history, options) {
    Object.assign(this, history);
    this.history = history;
    this.options = options;
    this.counts = new Map();
    this.violations = [];
    this.bornSeen = new Map((this.born ?? []).map(({ part }) => [part, Infinity])); // when anybody saw it
    const { first, other } = this.truth.index(this.events.count);
    this.first = first;
    this.other = other;
    this.roomRecords = this.recordsByRoom();
    this.idOf = new Uint32Array(this.truth.count);
    this.hasId = new Uint8Array(this.truth.count);
    this.firstRow = new Uint32Array(this.truth.count);
    this.lastRow = new Uint32Array(this.truth.count);
    this.partCount = this.truth.part.reduce((most, part) => Math.max(most, part), 0) + 1;
    this.summary = {
      events: this.events.count, acknowledged: 0, records: this.truth.count, clients: this.clients.length, deliveries: 0, firsts: 0,
      repeats: 0, repeatsRedelivered: 0, repeatsAnonymous: 0, repeatsBackfill: 0, repeatsFresh: 0, markedButFirst: 0, beforeStart: 0, connects: 0, resumes: 0, resumeMessages: 0,
      joinsWithCursor: 0, resumed: 0, exactResumes: 0, gaps: {}, declaredLost: 0, closes: {}, errors: {}, catchUpMs: 0, catchUpDuringMs: 0, newPartitionMs: 0, resumeMs: 0, latency: latencies(),
    };
  }

  accuse(rule, { client, rows = [], text, weight = 1 }) {
    const seen = this.counts.get(rule) ?? 0;
    this.counts.set(rule, seen + weight);
    const shown = this.violations.filter((v) => v.rule === rule).length;
    if (shown < this.options.evidence) this.violations.push({ rule, client, rows, text });
  }

  recordsByRoom() {
    const { events, truth } = this;
    const lists = this.rooms.map(() => []);
    for (let r = 0; r < truth.count; r++) {
      const n = truth.n[r];
      if (n >= events.count) continue;
      for (const room of [events.room0[n], events.room1[n], events.room2[n]]) if (room !== NO_ROOM) lists[room].push(r);
    }
    return lists.map((list) => Uint32Array.from(list));
  }

  // The dump must hold what Kafka acknowledged, where it said, and nothing that nobody produced.
  checkTruth() {
    const { truth, events } = this;
    for (const r of truth.conflicts) this.accuse('truth', { text: `two dumps disagree about record ${r}` });
    for (let r = 0; r < truth.count; r++) {
      if (truth.n[r] >= events.count) this.accuse('truth', { text: `nobody produced ${this.place(r)}, which says to be event ${truth.n[r]}` });
    }
    for (let n = 0; n < events.count; n++) {
      if (events.state[n] !== STATE.OK) continue;
      this.summary.acknowledged++;
      let r = this.first[n];
      while (r >= 0 && !this.isWhere(r, events.part[n], events.life[n], events.offset[n])) r = this.other[r];
      if (r < 0) this.accuse('truth', { text: `event ${n} was acknowledged at ${this.where(events.part[n], events.life[n], events.offset[n])}, which does not hold it` });
    }
  }

  isWhere(r, part, life, offset) {
    const { truth } = this;
    return truth.part[r] === part && truth.life[r] === life && (offset === NONE || truth.offset[r] === offset);
  }

  // Two lives of a partition use the same offsets; their ids must differ all the same.
  checkIds() {
    const { truth } = this;
    const place = (r) => `${truth.part[r]}:${truth.offset[r]}`;
    const shared = new Map();
    for (let r = 0; r < truth.count; r++) if (truth.life[r] > 0) shared.set(place(r), []);
    for (let r = 0; r < truth.count; r++) {
      if (!this.hasId[r]) continue;
      const ids = shared.get(place(r));
      if (!ids) continue;
      const same = ids.find((other) => this.idOf[other] === this.idOf[r]);
      if (same !== undefined) this.accuse('id-ambiguous', { text: `${this.place(same)} and ${this.place(r)} came with the same id` });
      ids.push(r);
    }
  }

  // As long as something was produced to a new partition, somebody must see it soon.
  checkBorn() {
    const { truth, events, summary } = this;
    for (const { part, time } of this.born ?? []) {
      let begun = NONE;
      for (let r = 0; r < truth.count; r++) if (truth.part[r] === part && truth.n[r] < events.count) begun = Math.min(begun, events.invoked[truth.n[r]]);
      if (begun === NONE) continue;
      const took = (this.bornSeen.get(part) - Math.max(begun, time)) / TICKS;
      summary.newPartitionMs = Math.max(summary.newPartitionMs, took);
      if (took > this.options.newPartition) this.accuse('late-partition', { text: `${this.where(part, 0, 0)} was seen first ${(took / 1000).toFixed(1)} s after its first event` });
    }
  }

  lifeAt(part, time) {
    const starts = this.lives.get(part) ?? [];
    let life = 0;
    while (life < starts.length && starts[life] <= time) life++;
    return life;
  }

  // How many events were begun between two moments.
  producedBetween(from, to) {
    return lowerBound(this.events.invoked, this.events.count, to) - lowerBound(this.events.invoked, this.events.count, from);
  }

  // Of a partition or a life that has just begun, a checkpoint may not know.
  isExactAnywhere(minted, used) {
    const isNews = (time) => time > minted - this.options.newsMs * TICKS && time <= used;
    const born = (this.born ?? []).map(({ time }) => time);
    const parts = this.partCount - born.filter((time) => time > used).length;
    return parts <= this.options.exactParts && ![...born, ...[...this.lives.values()].flat()].some(isNews);
  }

  where(part, life, offset) {
    const topic = this.topics[Math.floor(part / PARTS_PER_TOPIC)];
    return `${topic}:${part % PARTS_PER_TOPIC}:${offset === NONE ? '?' : offset}${life > 0 ? ` (life ${life})` : ''}`;
  }

  place(r) {
    return this.where(this.truth.part[r], this.truth.life[r], this.truth.offset[r]);
  }

  result() {
    const { summary } = this;
    summary.latency = summary.latency.percentiles();
    return { ok: this.counts.size === 0, violations: this.violations, counts: Object.fromEntries(this.counts), summary };
  }
}

function lowerBound(sorted, count, value) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// From acknowledgement to receipt, in classes of 5 %.
function latencies() {
  const classes = new Uint32Array(400);
  let count = 0;
  return {
    add(ticks) {
      classes[Math.min(399, Math.max(0, Math.floor(Math.log(Math.max(ticks, 1)) / Math.log(1.05))))]++;
      count++;
    },
    percentiles() {
      const at = (part) => {
        let sum = 0;
        const i = classes.findIndex((n) => (sum += n) >= count * part);
        return Number((1.05 ** (i + 1) / TICKS).toFixed(1));
      };
      return count === 0 ? {} : { count, p50: at(0.5), p99: at(0.99), max: at(1) };
    },
  };
}

export { report } from './report.mjs';
