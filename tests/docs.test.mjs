// The documents against the program: tables that must say what the code says, files and links that must be there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const program = process.env.CAUSEWAY_TEST_BINARY ?? join(root, 'build/dev/causeway');
const read = (path) => readFileSync(join(root, path), 'utf8');

const DOCUMENTS = ['README.md', 'src/ARCHITECTURE.md', 'src/DECISIONS.md', 'docs/PROTOCOL.md', 'docs/CATALOGUE.md', 'docs/SOCKETIO.md', 'docs/RIGHTS.md', 'docs/SECURITY.md', 'docs/OPERATIONS.md', 'bench/README.md'];
const MAP_MAX_LINES = 260;

// --- reading documents

// The rows of the one table with this header: lists of cells, without the quotes of code.
function tableOf(path, ...header) {
  const blocks = read(path).split(/\n(?!\|)/).map((block) => block.split('\n').filter((line) => line.startsWith('|')));
  const cells = (line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'));
  const found = blocks.filter((lines) => lines.length > 2 && cells(lines[0]).join('|') === header.join('|'));
  assert.equal(found.length, 1, `tables in ${path} with the header ${header.join(' | ')}`);
  return found[0].slice(2).map(cells);
}

const withoutCode = (text) => text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');

// --- reading the program

function help() {
  const run = spawnSync(program, ['--help'], { encoding: 'utf8', timeout: 20000 });
  assert.equal(run.status, 0, `${program} --help: ${run.error?.message ?? run.stderr}`);
  const [before, settings] = run.stdout.split(/^settings .*:$/m);
  const lines = (text) => text.split('\n').filter((line) => line.trim());
  return {
    commands: lines(before.split('commands:')[1]).map((line) => line.trim().split(/\s+/)[0]),
    settings: lines(settings).map((line) => line.split(/\s{2,}/)),
  };
}

const STRING = '"((?:\\\\.|[^"\\\\])*)"';
const all = (text, pattern) => [...text.matchAll(new RegExp(pattern, 'g'))].map(([, ...groups]) => groups);
const unique = (list) => [...new Set(list)].sort();

// The rows of an X macro: what stands in their quotes, and the id.
function rowsOf(path, table) {
  const [, body] = new RegExp(`#define ${table}\\(X\\)((?:.*\\\\\\n)*.*)`).exec(read(path));
  return body.replaceAll('\\\n', ' ').split(/X\(/).slice(1).map((row) => ({
    id: row.split(',')[0].trim(), number: Number(/^\w+,\s*(\d+)/.exec(row)?.[1]), texts: all(row, STRING).flat(),
  }));
}

const filesIn = (dir, pattern) => readdirSync(join(root, dir)).filter((name) => pattern.test(name)).map((name) => `${dir}/${name}`);

function sources() {
  const dirs = ['src', ...readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory()).map(({ name }) => `src/${name}`)];
  return dirs.flatMap((dir) => filesIn(dir, /\.c$/)).map((path) => path.slice('src/'.length)).sort();
}

// --- README

test('README lists the settings as causeway --help prints them', () => {
  const rows = tableOf('README.md', 'setting', 'default', 'meaning');
  assert.ok(rows.length > 20);
  assert.deepEqual(rows, help().settings);
});

test('README lists the commands that causeway --help prints', () => {
  const commands = tableOf('README.md', 'command', 'what')
    .map(([cell]) => /^causeway ([\w-]+)$/.exec(cell)?.[1]).filter(Boolean);
  assert.deepEqual(commands, help().commands);
});

test('OPERATIONS lists the metrics as the program declares them', () => {
  const rows = tableOf('docs/OPERATIONS.md', 'metric', 'type', 'label', 'meaning');
  const [, body] = /#define METRICS_TABLE\(X\)((?:.*\\\n)*.*)/.exec(read('include/causeway/metrics.h'));
  const declared = body.replaceAll('\\\n', ' ').replace(/"\s+"/g, '').split(/X\(/).slice(1).map((row) => {
    const [name, help, label] = all(row, STRING).flat();
    return [name, /^\w+,\s*(\w+)/.exec(row)[1].toLowerCase(), label, help];
  });
  assert.deepEqual(rows, declared);
});

test('README begins with the two commands that ./dev has', () => {
  const [first] = /```[\s\S]*?```/.exec(read('README.md'));
  const script = read('dev');
  for (const command of ['demo', 'test']) {
    assert.match(first, new RegExp(`^\\./dev ${command}\\b`, 'm'));
    assert.match(script, new RegExp(`^command_${command}\\(\\)`, 'm'));
  }
});

// --- PROTOCOL

test('PROTOCOL has the close codes, texts and advice of close.h', () => {
  const rows = tableOf('docs/PROTOCOL.md', 'code', 'text', 'retry', 'what to do');
  const table = rowsOf('include/causeway/close.h', 'CLOSE_TABLE').map(({ number, texts }) => [String(number), ...texts]);
  assert.ok(table.length > 5);
  assert.deepEqual(rows.map((row) => row.slice(0, 3)), table);
  for (const row of rows) assert.ok(row[3].length > 0, `what to do about ${row[0]}`);
});

test('PROTOCOL has the error codes that the program sends', () => {
  const client = filesIn('src/core', /^client.*\.c$/).map(read).join('\n');
  const outcomes = /outcomes\[\] = \{([\s\S]*?)\n\};/.exec(client)[1];
  const websocket = filesIn('src/edge', /^ws.*\.c$/).map(read).join('\n');
  const sent = [
    ...all(client + websocket, `client_error(?:_later)?\\([^,"]+, ${STRING}`).flat(),
    ...all(outcomes, `\\{${STRING}, ${STRING}, `).map(([, code]) => code).filter(Boolean),
  ];
  assert.ok(unique(sent).length > 4);
  const documented = tableOf('docs/PROTOCOL.md', 'error code', 'meaning', 'what to do').map(([code]) => code);
  assert.deepEqual(documented.slice().sort(), unique(sent));
  const schema = JSON.parse(read('schemas/error.json')).properties.code.enum;
  assert.deepEqual(documented.filter((code) => !schema.includes(code)), [], 'known to the schema');
});

test('PROTOCOL has the HTTP refusals that the program sends', () => {
  const websocket = all(filesIn('src/edge', /^ws.*\.c$/).map(read).join('\n'), `\\banswer\\([^,"]+, (\\d+), (?:${STRING}|\\w+), ${STRING}`)
    .map(([status, , code]) => `${status} ${code}`);
  const handshake = all(read('src/base/handshake.c'), `\\{\\s*(\\d{3}), ${STRING}, ${STRING}\\}`).map(([status]) => `${status} bad_request`);
  const front = all(read('src/edge/front.c'), 'respond\\(\\w+, (\\d+),').flat();
  const http = all(read('src/base/http.c'), '-(\\d{3})\\b').flat();
  assert.ok(websocket.length > 1 && handshake.length > 1 && front.length > 2 && http.length > 2);
  const rows = tableOf('docs/PROTOCOL.md', 'status', 'code', 'when').map(([status, code]) => `${status} ${code}`);
  assert.deepEqual(unique(rows), unique([...websocket, ...handshake, ...[...front, ...http].map((status) => `${status} ${status}`)]));
});

test('PROTOCOL has the reasons for which a token is refused', () => {
  const reasons = rowsOf('include/causeway/token.h', 'TOKEN_TABLE').filter(({ id }) => id !== 'OK').map(({ texts }) => texts[0]);
  const attached = all(read('src/edge/ws_message.c'), `peer_refuse\\(\\w+, ${STRING}\\)`).flat();
  assert.ok(reasons.length > 5 && attached.length > 0);
  const rows = tableOf('docs/PROTOCOL.md', 'reason', 'what is wrong').map(([reason]) => reason);
  assert.deepEqual(unique(rows), unique([...reasons, ...attached]));
});

test('PROTOCOL answers every message that the program knows', () => {
  const [, commands] = /\} commands\[\] = \{([\s\S]*?)\n\};/.exec(read('src/core/client.c'));
  const names = all(commands, `\\{${STRING},`).flat();
  assert.ok(names.length > 3);
  const rows = tableOf('docs/PROTOCOL.md', 'message', 'answer').map(([message]) => JSON.parse(message).type);
  assert.deepEqual(unique(rows), unique(names));
});

// --- SECURITY

test('SECURITY has every limit, with a setting that exists', () => {
  const labels = rowsOf('include/causeway/limits.h', 'LIMIT_TABLE').map(({ texts }) => texts[0]);
  const rows = tableOf('docs/SECURITY.md', 'limit', 'setting', 'what is refused');
  assert.ok(labels.length > 5);
  assert.deepEqual(rows.map(([label]) => label), labels);
  const settings = help().settings.map(([name]) => name);
  assert.deepEqual(rows.map(([, setting]) => setting).filter((name) => !settings.includes(name)), []);
});

// --- CATALOGUE

test('CATALOGUE has the reasons for which a record is rejected', () => {
  const labels = rowsOf('include/causeway/route.h', 'REJECT_TABLE').filter(({ id }) => id !== 'NONE').map(({ texts }) => texts[0]);
  assert.ok(labels.length > 5);
  assert.deepEqual(tableOf('docs/CATALOGUE.md', 'reason', 'when').map(([label]) => label), labels);
});

test('CATALOGUE names every member that x-causeway may have', () => {
  const { properties, definitions } = JSON.parse(read('schemas/x-causeway.schema.json'));
  const members = [properties, ...['operation', 'command', 'kafkaChannel', 'clientChannel', 'lookup', 'room', 'rule']
    .map((name) => definitions[name].properties)].flatMap(Object.keys);
  assert.ok(members.length > 15);
  const text = read('docs/CATALOGUE.md');
  assert.deepEqual(members.filter((member) => !new RegExp(`\`${member}[\`:]|\\b${member}:`).test(text)), []);
});

// --- docs/domains

test('docs/domains is what ./dev docs makes of the catalogue', async () => {
  const { pages } = await import('../tools/docs.mjs');
  const made = pages();
  assert.ok(Object.keys(made).length > 5);
  assert.deepEqual(readdirSync(join(root, 'docs/domains')).sort(), Object.keys(made).sort());
  for (const [name, text] of Object.entries(made)) assert.ok(read(`docs/domains/${name}`) === text, `${name} is out of date: ./dev docs`);
});

// --- ARCHITECTURE

test('the map names every source file and nothing that is not there, and is short', () => {
  const text = read('src/ARCHITECTURE.md');
  const named = unique(all(text, '`((?:base|core|edge|bridge|cli)/\\w+\\.c|\\w+\\.c)`').flat()).filter((name) => name.includes('/') || existsSync(join(root, 'src', name)));
  assert.deepEqual(named.filter((name) => !existsSync(join(root, 'src', name))), [], 'named, but not there');
  assert.deepEqual(sources().filter((name) => !named.includes(name)), [], 'there, but not named');
  assert.ok(text.split('\n').length <= MAP_MAX_LINES);
});

// --- all of them

for (const path of DOCUMENTS) {
  test(`every link and every path of ${path} leads somewhere`, () => {
    const text = read(path);
    const links = all(withoutCode(text), '\\]\\(([^)#]+)\\)').flat().filter((link) => !/^\w+:/.test(link));
    const missing = links.filter((link) => !existsSync(resolve(root, dirname(path), link)));
    const paths = all(text, '`((?:src|include|tests|docs|schemas|bench|examples|asyncapi)/[\\w./-]+)`').flat();
    assert.deepEqual([...missing, ...paths.filter((name) => !existsSync(join(root, name)))], []);
  });

  test(`every setting in ${path} exists`, () => {
    const known = new Set([...rowsOf('include/causeway/config.h', 'CONFIG_TABLE').map(({ texts }) => texts[0]), 'CAUSEWAY_', 'CONFIG_TABLE', 'METRICS_TABLE',
      'CMAKE_C_VISIBILITY_PRESET', 'MSG_TRUNC']);
    const used = all(read(path), '`([A-Z][A-Z0-9]*_[A-Z0-9_]*)(?:=[^`]*)?`').flat();
    assert.deepEqual(used.filter((name) => !known.has(name)), []);
  });
}
