// The layers of the program: base (libc only) <- core (pure: no I/O, no threads, no clock) <- edge (one outside
// library per file, no edge file knows another) <- bridge <- bridge.c, main, cli. Read from the sources, not from a list.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MAX_LINES = 600;
const RANK = { base: 0, core: 1, edge: 2, bridge: 3, top: 4 };
const WORLD = new Set(['causeway/clock.h', 'causeway/random.h']); // base has them; core is told

const LIBC = new Set(('assert ctype dirent endian errno fcntl fenv float getopt ifaddrs inttypes iso646 limits locale malloc math netdb '
  + 'poll pthread pwd grp sched semaphore setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib '
  + 'stdnoreturn string strings syslog termios threads time unistd wchar').split(' ').map((name) => `${name}.h`));
const isLibc = (header) => LIBC.has(header) || /^(sys|netinet|arpa|linux|net)\//.test(header);

// What core may not touch, by header and by call. Mapping and sizing memory is none of it.
const IMPURE_HEADERS = /^(pthread|threads|semaphore|poll|netdb|signal|fcntl|spawn|termios|time)\.h$|^(sys\/(socket|epoll|eventfd|timerfd|time|select|un|stat|wait)\.h|netinet\/|arpa\/)/;
const NETWORK_HEADERS = /^(sys\/(socket|epoll|eventfd|timerfd|un)\.h|netinet\/|arpa\/)/;
const IMPURE_CALLS = new RegExp(`(?<![\\w.>])(${[
  'time|clock|clock_gettime|gettimeofday|timespec_get|nanosleep|u?sleep|getenv|rand|random|getrandom',
  'socket|bind|listen|accept4?|connect|send(msg|to)?|recv(msg|from)?|poll|select|epoll_\\w+|eventfd|timerfd_\\w+|pipe2?',
  'p?readv?|p?writev?|open(at)?|fopen|fread|fwrite|f?printf|fputs|puts|pthread_\\w+|thrd_\\w+|mtx_\\w+|fork|kill',
].join('|')})\\s*\\(`);

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, (found) =>
    (found[0] === '/' ? found.replace(/[^\n]/g, ' ') : found));
}

const includesOf = (text) => [...withoutComments(text).matchAll(/^\s*#\s*include\s*([<"])([^>"]+)[>"]/gm)]
  .map(([, kind, name]) => ({ system: kind === '<', name }));

// Strings are blanked too, so that words in messages are not taken for calls.
const codeOf = (text) => withoutComments(text).replace(/"(?:\\.|[^"\\\n])*"/g, '""');

function layerOfSource(path) {
  const folder = /^src\/(\w+)\//.exec(path)?.[1];
  return folder in RANK ? folder : 'top';
}

const moduleOf = (path) => basename(path).replace(/\.[ch]$/, '');

// A public header belongs where its source is (the commands in cli have none); one without a source, as high as the highest that it includes.
function layersOfHeaders(files) {
  const layers = new Map();
  for (const path of files.keys()) {
    if (/^src\/(?!cli\/).*\.c$/.test(path)) layers.set(`causeway/${moduleOf(path)}.h`, layerOfSource(path));
  }
  const resolve = (header, seen = new Set()) => {
    if (layers.has(header)) return layers.get(header);
    const text = files.get(`include/${header}`);
    if (text === undefined || seen.has(header)) return 'base';
    seen.add(header);
    const used = includesOf(text).filter((i) => i.name.startsWith('causeway/')).map((i) => resolve(i.name, seen));
    return used.reduce((highest, layer) => (RANK[layer] > RANK[highest] ? layer : highest), 'base');
  };
  for (const path of files.keys()) {
    if (!path.startsWith('include/')) continue;
    const header = path.slice('include/'.length);
    if (!layers.has(header)) layers.set(header, resolve(header));
  }
  return layers;
}

// Modules of base that talk to the network; core must do without them.
function networkModules(files, layers) {
  const found = new Set();
  for (const [path, text] of files) {
    const header = `causeway/${moduleOf(path)}.h`;
    if (layers.get(header) === 'base' && includesOf(text).some((i) => i.system && NETWORK_HEADERS.test(i.name))) found.add(header);
  }
  return found;
}

// kafka_source.c and kafka_internal.h are parts of one edge.
const familyOf = (path) => moduleOf(path).split('_')[0];

const libraryOf = (header) => header.split(/[/.]/)[0].replace(/^libpq(-\w+)?$/, 'libpq');

function faultsOfFile(path, text, { layers, network }) {
  const faults = [];
  const isHeader = path.startsWith('include/');
  const header = `causeway/${moduleOf(path)}.h`;
  const layer = isHeader ? layers.get(header) : layerOfSource(path);
  const libraries = new Set();
  for (const { system, name } of includesOf(text)) {
    if (system) {
      if (!isLibc(name)) libraries.add(libraryOf(name));
      if (layer === 'core' && IMPURE_HEADERS.test(name)) faults.push(`${path}: core includes <${name}>`);
      continue;
    }
    if (!name.startsWith('causeway/')) {
      if (name.includes('/') && !(path === 'src/bridge.c' && name.startsWith('bridge/'))) faults.push(`${path}: includes "${name}" of another directory`);
      else if (layer === 'edge' && familyOf(name) !== familyOf(path)) faults.push(`${path}: edge includes "${name}" of another edge file`);
      continue;
    }
    const other = layers.get(name);
    if (other === undefined) faults.push(`${path}: includes "${name}", which does not exist`);
    else if (RANK[other] > RANK[layer]) faults.push(`${path}: ${layer} includes "${name}" of ${other}`);
    else if (layer === 'edge' && other === 'edge' && familyOf(path) !== familyOf(name)) faults.push(`${path}: edge includes "${name}" of another edge file`);
    if (layer === 'core' && network.has(name)) faults.push(`${path}: core includes "${name}", which talks to the network`);
    if (layer === 'core' && WORLD.has(name)) faults.push(`${path}: core includes "${name}"`);
  }
  if (layer !== 'edge' && libraries.size > 0) faults.push(`${path}: ${layer} uses ${[...libraries].join(', ')}`);
  if (libraries.size > 1) faults.push(`${path}: more than one outside library: ${[...libraries].join(', ')}`);
  const call = layer === 'core' && !isHeader && IMPURE_CALLS.exec(codeOf(text));
  if (call) faults.push(`${path}: core calls ${call[1]}()`);
  const lines = text.split('\n').length - 1;
  if (lines > MAX_LINES) faults.push(`${path}: ${lines} lines, more than ${MAX_LINES}`);
  return faults;
}

function faultsOf(files) {
  const layers = layersOfHeaders(files);
  const network = networkModules(files, layers);
  return [...files].flatMap(([path, text]) => faultsOfFile(path, text, { layers, network }));
}

function sources(...dirs) {
  const files = new Map();
  const walk = (dir) => {
    for (const entry of readdirSync(join(root, dir), { withFileTypes: true })) {
      const path = `${dir}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (/\.[ch]$/.test(entry.name)) files.set(path, readFileSync(join(root, path), 'utf8'));
    }
  };
  dirs.forEach(walk);
  return files;
}

test('every source keeps to its layer', () => {
  const files = sources('src', 'include');
  for (const layer of ['base', 'core', 'edge']) {
    assert.ok([...files.keys()].some((path) => path.startsWith(`src/${layer}/`)), `no sources in src/${layer}`);
  }
  assert.deepEqual(faultsOf(files), []);
});

// bench/route.c measures functions of the program from within, beside a library's.
test('what measures the program from outside shares no code with it', () => {
  const faults = [...sources('bench')].filter(([path]) => path !== 'bench/route.c').flatMap(([path, text]) =>
    includesOf(text).filter((i) => i.name.startsWith('causeway/')).map((i) => `${path}: includes "${i.name}"`));
  assert.deepEqual(faults, []);
});

test('the check notices each kind of offence', () => {
  const good = {
    'include/causeway/buffer.h': '#include <stddef.h>\n',
    'include/causeway/loop.h': '',
    'include/causeway/clock.h': '',
    'include/causeway/rooms.h': '#include "causeway/buffer.h"\n',
    'include/causeway/kafka.h': '#include "causeway/rooms.h"\n',
    'include/causeway/postgres.h': '',
    'src/base/buffer.c': '#include "causeway/buffer.h"\n#include <pthread.h>\n',
    'src/base/clock.c': '#include "causeway/clock.h"\n#include <time.h>\n',
    'src/base/loop.c': '#include "causeway/loop.h"\n#include <sys/epoll.h>\n',
    'src/core/rooms.c': '#include "causeway/rooms.h"\n/* asks time() of nobody */ const char *s = "read(";\n',
    'src/edge/kafka.c': '#include "causeway/kafka.h"\n#include <librdkafka/rdkafka.h>\n',
    'src/edge/kafka_publish.c': '#include "causeway/kafka.h"\n#include <librdkafka/rdkafka.h>\n',
    'src/edge/postgres.c': '#include "causeway/postgres.h"\n#include <libpq-fe.h>\n',
    'src/bridge/rights.c': '#include "rights.h"\n#include "causeway/kafka.h"\n#include "causeway/postgres.h"\n',
    'src/bridge.c': '#include "bridge/rights.h"\n',
    'src/main.c': '#include "causeway/kafka.h"\n#include "causeway/postgres.h"\n',
  };
  const check = (changes) => faultsOf(new Map(Object.entries({ ...good, ...changes })));
  assert.deepEqual(check({}), []);
  const offences = {
    'base includes core': { 'src/base/buffer.c': '#include "causeway/rooms.h"\n' },
    'core includes edge': { 'src/core/rooms.c': '#include "causeway/kafka.h"\n' },
    'a header of core includes edge': { 'include/causeway/rooms.h': '#include "causeway/postgres.h"\n' },
    'edge includes edge': { 'src/edge/kafka.c': '#include "causeway/postgres.h"\n' },
    'a private header of another edge': { 'src/edge/kafka.c': '#include "postgres_connection.h"\n' },
    'two libraries': { 'src/edge/kafka.c': '#include <librdkafka/rdkafka.h>\n#include <libpq-fe.h>\n' },
    'a library in core': { 'src/core/rooms.c': '#include <yaml.h>\n' },
    'a library in main': { 'src/main.c': '#include <jwt.h>\n' },
    'a thread in core': { 'src/core/rooms.c': '#include <pthread.h>\n' },
    'a loop in core': { 'src/core/rooms.c': '#include "causeway/loop.h"\n' },
    'a clock in core': { 'src/core/rooms.c': 'long f(void) { return time(0); }\n' },
    'the clock of base in core': { 'src/core/rooms.c': '#include "causeway/clock.h"\n' },
    'a part of the bridge in main': { 'src/main.c': '#include "bridge/rights.h"\n' },
    'an unknown header': { 'src/core/rooms.c': '#include "causeway/nothing.h"\n' },
    'a giant': { 'src/core/rooms.c': 'int x;\n'.repeat(MAX_LINES + 1) },
  };
  for (const [name, change] of Object.entries(offences)) assert.equal(check(change).length, 1, name);
});
