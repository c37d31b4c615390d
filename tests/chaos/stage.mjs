// What a run stands on: a Kafka and a PostgreSQL of its own, the members of groups and boards, and up to three instances.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWorld, token } from '../system/lib/bridge.mjs';
import { KafkaSide, kafkaClient, startKafka } from '../system/lib/kafka.mjs';
import { startPostgres } from '../system/lib/postgres.mjs';
import { random } from './random.mjs';
import { residentBytes, root } from '../system/lib/processes.mjs';

const CATALOGUE = join(root, 'tests/chaos/asyncapi.yaml');
export const TOPIC = 'notes';

export const roomNames = ({ groups, boards }) => [
  ...Array.from({ length: groups }, (_, i) => `group-${i + 1}`),
  ...Array.from({ length: boards }, (_, i) => `board:${i + 1}`),
];

/* Who stands where: `each` rooms of a kind for every client, dealt out like cards, so that all rooms are equally full. */
export function memberships({ clients, groups, boards, groupsEach, boardsEach }) {
  const rng = random(clients);
  const members = Array.from({ length: clients }, (_, i) => ({ name: `client-${i + 1}`, user: i + 1, automatic: [], requested: [] }));
  const deal = (field, first, count, each) => {
    let card = 0;
    for (let round = 0; round < each; round++) {
      for (const member of rng.shuffled(members)) {
        const room = first + (card++ % count);
        if (!member[field].includes(room)) member[field].push(room);
      }
    }
  };
  deal('automatic', 0, groups, groupsEach);
  deal('requested', groups, boards, boardsEach);
  return members;
}

export async function openStage({ dir, plan, settings, say }) {
  const stage = new Stage(dir, plan, settings, say);
  try {
    await stage.open();
    return stage;
  } catch (error) {
    await stage.close().catch(() => {});
    throw error;
  }
}

// Somebody else may have taken the port that was free a moment ago.
async function insistent(begin, tries = 3) {
  for (let i = 1; ; i++) {
    try {
      return await begin();
    } catch (error) {
      if (i >= tries) throw error;
    }
  }
}

class Stage {
  constructor(dir, plan, settings, say) {
    Object.assign(this, { dir, plan, settings, say });
    this.instances = [];
    this.incarnations = [0, 0, 0];
    this.members = memberships(plan);
    this.memory = 0;
    this.editions = 0;
    this.catalogue = join(dir, 'catalogue.yaml');
  }

  async open() {
    for (const name of ['rows', 'kafka.log', 'postgres.log']) rmSync(join(this.dir, name), { recursive: true, force: true });
    mkdirSync(join(this.dir, 'rows'), { recursive: true });
    this.writeCatalogue();
    const started = await Promise.allSettled([
      insistent(() => startKafka({ dir: join(this.dir, 'kafka') })),
      insistent(() => startPostgres({ dir: join(this.dir, 'postgres') })),
    ]);
    [this.kafka, this.postgres] = started.map(({ value }) => value);
    for (const { reason } of started) if (reason) throw reason;
    await this.fillDatabase();
    this.side = await new KafkaSide(this.kafka.brokers).open();
    await this.side.createTopics([TOPIC], this.plan.partitions);
    this.world = await openWorld('chaos', { kafka: this.kafka, postgres: this.postgres });
    this.world.databaseUrl = this.postgres.url();
  }

  async fillDatabase() {
    const { members, plan } = this;
    const rows = (list) => list.map((values) => `(${values})`).join(',');
    await this.postgres.query(`
      CREATE TABLE users (id integer PRIMARY KEY, role text NOT NULL);
      CREATE TABLE group_members (group_id integer, user_id integer);
      CREATE TABLE board_members (board_id integer, user_id integer);
      CREATE INDEX ON users ((id::text));
      CREATE INDEX ON group_members ((user_id::text));
      CREATE INDEX ON board_members ((board_id::text), (user_id::text));
      INSERT INTO users VALUES ${rows(members.map(({ user }) => [user, "'member'"]))};
      INSERT INTO group_members VALUES ${rows(members.flatMap(({ user, automatic }) => automatic.map((room) => [room + 1, user])))};
      INSERT INTO board_members VALUES ${rows(members.flatMap(({ user, requested }) => requested.map((room) => [room - plan.groups + 1, user])))};
    `);
  }

  kafkaClient() {
    return kafkaClient(this.kafka.brokers);
  }

  tokenOf(user) {
    return token({ sub: user, exp: Math.floor(Date.now() / 1000) + 24 * 3600 });
  }

  // --- instances

  async startInstance(number) {
    const bridge = await this.world.serve({ CATALOGUE: this.catalogue, ...this.settings }, { ready: false });
    const instance = { number, incarnation: this.incarnations[number]++, bridge, port: bridge.port, open: true };
    this.instances[number] = instance;
    this.tell();
    await bridge.ready(60_000);
    return instance;
  }

  async endInstance(number, how) {
    const instance = this.instances[number];
    if (!instance?.open) return;
    instance.open = false;
    this.measure();
    this.tell();
    const end = how === 'kill' ? await instance.bridge.kill() : await instance.bridge.terminate(20_000);
    if (how !== 'kill' && (end.code !== 0 || end.signal)) throw new Error(`instance ${number} ended with ${JSON.stringify(end)}:\n${instance.bridge.log().slice(-3000)}`);
  }

  // Each edition means the same; every other one has one more channel, so that the clients' is another number.
  writeCatalogue() {
    const more = this.editions % 2 ? '  others:\n    address: /others\n    servers: [{$ref: \'#/servers/clients\'}]\n' : '';
    const text = readFileSync(CATALOGUE, 'utf8').replace('  clients:\n    address: /\n', (channel) => `${more}${channel}`);
    writeFileSync(this.catalogue, text.replace('version: 1.0.0', `version: 1.0.${this.editions++}`));
  }

  reload(instance) {
    if (!instance.bridge.child.end) process.kill(instance.bridge.pid, 'SIGHUP');
  }

  up() {
    return this.instances.filter((instance) => instance?.open);
  }

  targets() {
    return this.up().map(({ number, incarnation, port }) => ({ instance: number, incarnation, port }));
  }

  tell() {
    this.onTargets?.(this.targets());
  }

  measure() {
    for (const { bridge } of this.instances.filter(Boolean)) {
      try {
        this.memory = Math.max(this.memory, residentBytes(bridge.pid));
      } catch {
        // it is gone
      }
    }
  }

  // An instance that ended by itself is a finding of its own.
  crashed() {
    return this.up().filter(({ bridge }) => bridge.child.end);
  }


  async close() {
    for (const instance of this.up()) if (!instance.bridge.child.end) process.kill(instance.bridge.pid, 'SIGCONT');
    let failure;
    await this.world?.finish().catch((error) => { failure = error; });
    await this.side?.close().catch(() => {});
    await Promise.allSettled([this.kafka?.stop(), this.postgres?.stop()]);
    if (failure) throw failure;
  }
}
