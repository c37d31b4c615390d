// Child processes that never outlive us: started directly (no daemonizing wrapper), ended on request and, by
// the kernel, when this process dies without a chance to clean up.
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const buildDir = join(root, 'build');

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// For a probe of until(): what it waits for can no longer come.
export const hopeless = (text) => Object.assign(new Error(text), { hopeless: true });

// Polls until `probe` returns something truthy and returns that; its last error explains a time-out.
export async function until(what, probe, { timeout = 10000, every = 20 } = {}) {
  const deadline = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      const value = await probe();
      if (value) return value;
      last = undefined;
    } catch (error) {
      if (error.hopeless) throw error;
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`timed out after ${timeout} ms waiting for ${what}${last ? `: ${last.message}` : ''}`);
    }
    await sleep(every);
  }
}

// Free loopback ports, all different. Somebody else may take one before it is used; callers try again then.
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((done, failed) => {
      const server = createServer();
      server.once('error', failed);
      server.listen(0, '127.0.0.1', () => done(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

export function findProgram(name) {
  for (const dir of (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/usr/bin')) {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return join(dir, name);
    } catch {
      // the next directory may have it
    }
  }
  return null;
}

const setpriv = findProgram('setpriv');

// What children may know of our environment. Settings of a Kafka or a PostgreSQL that somebody else runs stay outside.
export function cleanEnvironment(extra = {}) {
  const kept = {};
  for (const name of ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TMPDIR', 'JAVA_HOME', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS']) {
    if (process.env[name] !== undefined) kept[name] = process.env[name];
  }
  return { ...kept, ...extra };
}

const running = new Set();
let hooked = false;

function killAll() {
  for (const child of running) child.kill('SIGKILL');
}

/* Starts `command` with output going to the file `log`. `user` = {uid, gid, name} runs it as that user.
   The result is the ChildProcess plus `ended` (a promise of {code, signal}) and `logText()`. */
export function start(command, args, { log, env = cleanEnvironment(), cwd, user, name = command, stdin = 'ignore' } = {}) {
  mkdirSync(dirname(log), { recursive: true });
  const output = openSync(log, 'a');
  const wrapper = [];
  if (setpriv) {
    wrapper.push(setpriv, '--pdeathsig', 'KILL');
    if (user) wrapper.push('--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups');
  }
  const [program, ...rest] = [...wrapper, command, ...args];
  const identity = user && !setpriv ? { uid: user.uid, gid: user.gid } : {};
  const child = spawn(program, rest, { env, cwd, stdio: [stdin, output, output], ...identity });
  closeSync(output);
  child.title = name;
  child.logFile = log;
  child.logText = () => readFileSync(log, 'utf8');
  child.ended = new Promise((done) => {
    child.once('error', (error) => done({ code: null, signal: null, error }));
    child.once('exit', (code, signal) => done({ code, signal }));
  }).then((end) => {
    running.delete(child);
    child.end = end;
    return end;
  });
  running.add(child);
  if (!hooked) {
    hooked = true;
    process.once('exit', killAll);
  }
  return child;
}

// Asks with `signal`, then insists. Returns {code, signal}; fine for a child that is gone already.
export async function stop(child, { signal = 'SIGTERM', timeout = 10000 } = {}) {
  if (child.end) return child.end;
  child.kill(signal);
  let timer;
  const late = new Promise((done) => {
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      done(child.ended);
    }, timeout);
  });
  const end = await Promise.race([child.ended, late]);
  clearTimeout(timer);
  return end;
}

// Resident memory of a process in bytes.
export function residentBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

// When a process began, in clock ticks since boot: with the pid it names one process for ever. Null when there is none.
export function processBirth(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return null;
  }
}
