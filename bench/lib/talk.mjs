// A child process that is spoken to in lines: commands on its stdin, one JSON object per line on its stdout.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { cleanEnvironment } from '../../tests/system/lib/processes.mjs';

const running = new Set();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Talk {
  /* `cpus`: a list for taskset. `nice`: added to our own. `log` gets stderr. */
  constructor(program, args, { name, log, cpus, nice = 0, env = {} }) {
    mkdirSync(dirname(log), { recursive: true });
    const errors = openSync(log, 'w');
    this.name = name;
    this.log = log;
    this.lines = [];
    this.waiting = null;
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', 'nice', '-n', String(nice), 'taskset', '-c', cpus, program, ...args],
      { stdio: ['pipe', 'pipe', errors], env: cleanEnvironment(env) });
    closeSync(errors);
    running.add(this.child);
    this.child.stdin.on('error', () => {});
    this.ended = new Promise((done) => {
      this.child.once('error', (error) => done(error.message));
      this.child.once('exit', (code, signal) => done(code ?? signal));
    }).then((end) => {
      running.delete(this.child);
      this.end = end;
      this.waiting?.();
      return end;
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.waiting?.();
    });
  }

  get pid() {
    return this.child.pid; // setpriv, nice and taskset replace themselves by the program
  }

  say(line) {
    this.child.stdin.write(`${line}\n`);
  }

  async line() {
    while (this.lines.length === 0) {
      if (this.end !== undefined) {
        throw new Error(`${this.name} ended (${this.end})\n${readFileSync(this.log, 'utf8').slice(-2000)}`);
      }
      await new Promise((done) => { this.waiting = done; });
    }
    return this.lines.shift();
  }

  // The next answer, which must be of this kind.
  async answer(event) {
    const answer = JSON.parse(await this.line());
    if (event && answer.event !== event) {
      throw new Error(`${this.name} said ${JSON.stringify(answer)} where ${event} was expected`);
    }
    return answer;
  }

  // Ends it: by the end of its stdin, or by a signal.
  async stop(signal) {
    if (this.end === undefined) {
      if (signal) this.child.kill(signal);
      else this.child.stdin.end();
      const late = setTimeout(() => this.child.kill('SIGKILL'), 15000);
      await this.ended;
      clearTimeout(late);
    }
    return this.end;
  }
}
