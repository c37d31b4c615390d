// A throw-away PostgreSQL cluster on a free loopback port: a direct child, gone with its data when stopped.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { cleanEnvironment, freePorts, hopeless, root, start, stop, until } from './processes.mjs';

function programsDir() {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).filter((v) => existsSync(join(base, v, 'bin/postgres'))) : [];
  if (versions.length > 0) {
    return join(base, versions.sort((a, b) => Number(b) - Number(a))[0], 'bin');
  }
  const asked = spawnSync('pg_config', ['--bindir'], { encoding: 'utf8' });
  if (asked.status === 0) return asked.stdout.trim();
  throw new Error('PostgreSQL is not installed: neither /usr/lib/postgresql/*/bin nor pg_config found');
}

// initdb and postgres refuse to run as root.
function serverUser() {
  if (process.getuid() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const found = users.find((fields) => fields[0] === name);
    if (found) return { name, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error('no user to run PostgreSQL as: neither postgres nor nobody exists');
}

// The wanted directory, or one in the temporary directory when the server's user cannot get there.
function dataDirectory(wanted, user) {
  mkdirSync(wanted, { recursive: true });
  if (user) {
    chownSync(wanted, user.uid, user.gid);
    const reached = spawnSync('test', ['-w', wanted], { uid: user.uid, gid: user.gid });
    if (reached.status !== 0) {
      const other = mkdtempSync(join(tmpdir(), 'causeway-postgres-'));
      chownSync(other, user.uid, user.gid);
      return other;
    }
  }
  chmodSync(wanted, 0o700);
  return wanted;
}

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '150',
  shared_buffers: '32MB',
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  max_wal_size: '256MB',
  autovacuum: 'off',
  jit: 'off',
  log_min_messages: 'warning',
};

class Postgres {
  constructor({ dir, user, bin, port, log }) {
    Object.assign(this, { dir, user, bin, port, log, child: null });
  }

  url(database = 'postgres') {
    return `postgresql://causeway@127.0.0.1:${this.port}/${database}?sslmode=disable`;
  }

  async start() {
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.child = start(join(this.bin, 'postgres'), ['-D', this.dir, '-p', String(this.port), ...settings], {
      log: this.log,
      cwd: '/',
      user: this.user,
      name: 'postgres',
      env: cleanEnvironment({ HOME: this.dir }),
    });
    await until('PostgreSQL to answer', async () => {
      if (this.child.end) throw hopeless('it ended');
      await this.query('SELECT 1');
      return true;
    }, { timeout: 15000, every: 30 }).catch((error) => {
      throw new Error(`${error.message}\n${this.child.logText()}`);
    });
    return this;
  }

  async query(sql, { database = 'postgres', params = [] } = {}) {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 5000 });
    client.on('error', () => {});
    await client.connect();
    try {
      return await client.query(sql, params.length > 0 ? params : undefined);
    } finally {
      await client.end().catch(() => {});
    }
  }

  async createDatabase(name, template = 'template1') {
    await this.query(`CREATE DATABASE "${name}" TEMPLATE "${template}"`);
  }

  // Ends the server but keeps the data, so that start() brings it back. SIGINT: does not wait for clients.
  async halt(signal = 'SIGINT') {
    if (this.child) await stop(this.child, { signal, timeout: 5000 });
  }

  async stop() {
    await this.halt('SIGQUIT');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/* Creates and starts a cluster in `dir` (made when missing, emptied first). `port` is chosen when not given. */
export async function startPostgres({ dir, log = `${dir}.log`, port, run = true }) {
  rmSync(dir, { recursive: true, force: true });
  const user = serverUser();
  const bin = programsDir();
  const data = dataDirectory(dir, user);
  const created = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-A', 'trust', '-U', 'causeway', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'],
    { env: cleanEnvironment({ HOME: data }), cwd: '/', encoding: 'utf8', ...(user ? { uid: user.uid, gid: user.gid } : {}) },
  );
  if (created.status !== 0) {
    throw new Error(`initdb failed: ${created.error?.message ?? ''}${created.stdout}${created.stderr}`);
  }
  const server = new Postgres({ dir: data, user, bin, log, port: port ?? (await freePorts(1))[0] });
  try {
    return run ? await server.start() : server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

// The statements of schemas/sql: the tables, then what fills them.
export function exampleSchema() {
  const dir = join(root, 'schemas/sql');
  const names = readdirSync(dir).filter((name) => name.endsWith('.sql') && name !== 'tables.sql').sort();
  return ['tables.sql', ...names].map((name) => ({ name, sql: readFileSync(join(dir, name), 'utf8') }));
}
