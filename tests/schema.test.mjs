// The schema checker against what others say: the official suite (Debian's json-schema-test-suite), ajv on invented
// schemas, V8 on invented patterns. All go through the program build/dev/schema_judge, which knows no answers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import AjvModule from 'ajv';
import addFormatsModule from 'ajv-formats';
import { inventPattern, inventSchema, inventText, inventValue, randomFrom } from './schema/invent.mjs';

const Ajv = AjvModule.default ?? AjvModule;
const addFormats = addFormatsModule.default ?? addFormatsModule;
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const judge = join(dirname(process.env.CAUSEWAY_TEST_BINARY ?? join(root, 'build/dev/causeway')), 'schema_judge');
const SUITE = '/usr/share/json-schema-test-suite/tests/draft7';
const dir = mkdtempSync(join(tmpdir(), 'causeway-schema-'));
after(() => rmSync(dir, { recursive: true }));

function runJudge(args, input = '') {
  const run = spawnSync(judge, args, { input, encoding: 'utf8', timeout: 60000, maxBuffer: 1 << 28 });
  assert.equal(run.status, 0, run.error?.message ?? run.stderr);
  return run.stdout.split('\n').slice(0, -1);
}

const judgeSuite = (path) => runJudge([path, join(dir, 'schema.json')]).map((line) => {
  const [verdict, group, name, why] = line.split('\t');
  return { verdict, group, name, why };
});

// --- the official suite

const REMOTE = 'a remote $ref: nothing outside of the document is followed';
const IDNA = 'idn-hostname needs the tables of IDNA; the format is refused when a schema is loaded';
// file: group (or * for all): reason. Each must be refused when it is loaded, else it has no business here.
const SKIPPED = {
  'definitions.json': { 'valid definition': REMOTE, 'invalid definition': REMOTE },
  'ref.json': { 'remote ref, containing refs itself': REMOTE },
  'refRemote.json': { '*': REMOTE },
  'optional/format/idn-hostname.json': { '*': IDNA },
};

describe('the official suite, draft7', () => {
  const files = readdirSync(SUITE, { recursive: true, withFileTypes: true }).filter((entry) => entry.name.endsWith('.json'))
    .map((entry) => relative(SUITE, join(entry.parentPath ?? entry.path, entry.name))).sort();

  for (const file of files) {
    const results = judgeSuite(join(SUITE, file));
    const reasonOf = ({ group }) => SKIPPED[file]?.[group] ?? SKIPPED[file]?.['*'];
    const wanted = results.filter((result) => !reasonOf(result));
    if (wanted.length > 0) {
      test(`${file}: all of ${wanted.length}`, () => {
        assert.deepEqual(wanted.filter(({ verdict }) => verdict !== 'right'), []);
      });
    }
    for (const result of results.filter(reasonOf)) {
      test(`${file}: ${result.group}: ${result.name}`, { skip: result.verdict === 'refused' && reasonOf(result) }, () => {
        assert.fail(`it is not refused, so it must not be skipped: ${result.verdict}`);
      });
    }
  }

  test('has the cases that it had when this was written', () => {
    assert.ok(files.length >= 56, `${files.length} files`);
    assert.deepEqual(Object.keys(SKIPPED).filter((file) => !files.includes(file)), []);
  });
});

// --- ajv

test('ajv says the same of invented schemas and values', () => {
  const random = randomFrom(7);
  const ajv = new Ajv({ strict: false, validateFormats: true, unicodeRegExp: true });
  addFormats(ajv);
  const groups = Array.from({ length: 600 }, (_, i) => {
    const schema = inventSchema(random);
    const validate = ajv.compile(schema);
    const tests = Array.from({ length: 20 }, (__, k) => {
      const data = inventValue(random, schema);
      return { description: `${k}`, data, valid: validate(data) };
    });
    return { description: `${i}`, schema, tests };
  });
  const path = join(dir, 'invented.json');
  writeFileSync(path, JSON.stringify(groups));
  const results = judgeSuite(path);
  assert.equal(results.length, 600 * 20);
  const wrong = results.filter(({ verdict }) => verdict !== 'right').slice(0, 5).map(({ verdict, group, name, why }) => ({
    verdict, why, schema: JSON.stringify(groups[group].schema), ...groups[group].tests[name],
  }));
  assert.deepEqual(wrong, []);
  const valid = groups.flatMap(({ tests }) => tests).filter((t) => t.valid).length;
  assert.ok(valid > 2000 && valid < 10000, `${valid} of 12000 hold: the invented values say nothing`);
});

// --- V8

test('V8 says the same of invented patterns and texts', () => {
  const random = randomFrom(3);
  const cases = Array.from({ length: 30000 }, () => [inventPattern(random), inventText(random)]);
  const hex = (text) => Buffer.from(text).toString('hex');
  const answers = runJudge(['--regex'], cases.map(([pattern, text]) => `${hex(pattern)}\t${hex(text)}\n`).join(''));
  const ask = (pattern, text) => {
    try {
      return new RegExp(pattern, 'u').test(text) ? '1' : '0';
    } catch {
      return 'broken';
    }
  };
  const wrong = [];
  const seen = new Map();
  cases.forEach(([pattern, text], i) => {
    const answer = answers[i];
    seen.set(answer, (seen.get(answer) ?? 0) + 1);
    // V8 also looks between the two halves of a character beyond U+FFFF, where \B holds, and so may (?!...).
    if (/\\B|\(\?[=!<]/.test(pattern) && text.includes('😀')) return;
    const unsupported = answer === 'unsupported' && /\\[1-9kpP]/.test(pattern);
    if (answer !== ask(pattern, text) && !unsupported) wrong.push({ pattern, text, answer });
  });
  assert.deepEqual(wrong.slice(0, 5), []);
  for (const answer of ['0', '1', 'broken']) assert.ok(seen.get(answer) > 3000, `${answer}: ${seen.get(answer)}`);
});

test('a pattern takes time in proportion to the text, whatever it is', () => {
  const hex = (text) => Buffer.from(text).toString('hex');
  const evil = [['^(a+)+$', 'a'], ['(a|a)*b', 'a'], ['^(?=(a*)*$)(a|aa)+c', 'a'], ['(.*)*(.*)*(.*)*x', 'y'], ['(?<=a*)b', 'a']];
  const began = Date.now();
  const answers = runJudge(['--regex'], evil.map(([pattern, letter]) => `${hex(pattern)}\t${hex(letter.repeat(100000) + '!')}\n`).join(''));
  assert.deepEqual(answers, ['0', '0', '0', '0', '0']);
  assert.ok(Date.now() - began < 15000, `${Date.now() - began} ms`);
});
