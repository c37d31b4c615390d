// docs/domains: one page per domain, from the catalogue alone. `./dev docs` writes them; tests/docs.test.mjs compares.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, readCatalogue, root, shape } from './catalogue.mjs';

const code = (text) => `\`${text}\``;
const cell = (text) => String(text ?? '').trim().replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');
const row = (...cells) => `| ${cells.map(cell).join(' | ')} |`;
const table = (head, rows) => [row(...head), `|${'---|'.repeat(head.length)}`, ...rows.map((cells) => row(...cells))].join('\n');
const json = (value) => `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``;

function typeOf(schema) {
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum) return schema.enum.map((value) => code(JSON.stringify(value))).join(', ');
  const types = [schema.type ?? 'anything'].flat();
  return types.map((type) => (type === 'array' ? `list of ${typeOf(schema.items ?? {})}` : type)).join(' or ');
}

// The members of a payload, those within objects and lists too.
function membersOf(schema, prefix = '') {
  const { properties, required } = shape(schema);
  return Object.entries(properties).flatMap(([name, inner]) => {
    const path = `${prefix}${name}`;
    const within = inner.type === 'object' ? membersOf(inner, `${path}.`)
      : inner.type === 'array' && inner.items?.type === 'object' ? membersOf(inner.items, `${path}[].`) : [];
    return [[code(path), typeOf(inner), required.includes(name) ? 'yes' : '', inner.description ?? ''], ...within];
  });
}

function roomRows(rights, templates) {
  const form = (text) => text.replaceAll(/\{[^{}]+\}/g, '{}');
  const used = Object.keys(rights.rooms).filter((pattern) => templates.some((template) => form(template) === form(pattern)));
  return used.map((pattern) => {
    const { join: how, allow } = rights.rooms[pattern];
    const rules = allow.map(({ join: own, when, with: fillings, lookup }) => [
      ...Object.entries(when ?? {}).map(([column, values]) => `${column} ${[values].flat().join(' or ')}`),
      ...Object.entries(fillings ?? {}).map(([name, value]) => `${name} is ${code(value)}`),
      ...(lookup ? [`lookup ${code(lookup)}`] : []),
      ...(own ? [`on ${own}`] : []),
    ].join(' and ') || 'everybody');
    return [code(pattern), how, rules.join('; or ')];
  });
}

function eventSection(catalogue, operation) {
  const channel = catalogue.channels.find(({ key }) => key === operation.channel);
  const { name, message } = messageOf(catalogue, operation.messages[0]);
  const member = channel.channel['x-causeway']?.payload ?? 'data';
  const { to, except, ephemeral, from } = operation.route;
  const sources = from.map((source) => `${code(messageOf(catalogue, source).name)} on ${code(catalogue.channels.find(({ key }) => key === source.channel).address)}`);
  return [
    `### ${name} on ${code(channel.address)}`,
    message.summary, '', operation.description.trim(), '',
    `- from ${sources.join(', ')}`,
    `- to ${to.map(code).join(', ')}${except.length > 0 ? `, except ${except.map(code).join(', ')}` : ''}`,
    ...(ephemeral ? ['- ephemeral: not repeated for who lags behind or comes back'] : []),
    '', table(['member of the payload', 'type', 'required', 'what'], membersOf(message.payload.properties[member])),
    '', json(message.examples[0].payload), '',
  ].join('\n');
}

function page(catalogue, file) {
  const topics = catalogue.channels.filter((channel) => channel.kafka && channel.file === file);
  const keys = topics.map(({ key }) => key);
  const sends = catalogue.operations.filter(({ route }) => route?.from.some(({ channel }) => keys.includes(channel)));
  const domain = basename(file, '.yaml');
  return [
    `# ${domain[0].toUpperCase()}${domain.slice(1)}`, '',
    `Made from [asyncapi/${basename(file)}](../../asyncapi/${basename(file)}) by ${code('./dev docs')}; edit that, not this.`, '',
    '## What services publish', '',
    ...topics.flatMap(({ address, channel, messages }) => [
      `${code(address)}: ${channel.description.trim().replaceAll(/\s*\n\s*/g, ' ')}`, '',
      table(['type', 'what', 'key', 'headers that say whom it concerns'], messages.map(({ name, message }) => [
        code(name), `${message.title}. ${message.summary ?? ''}`, message.bindings?.kafka?.key?.description ?? '',
        Object.keys(message.headers?.properties ?? {}).map(code).join(', '),
      ])), '',
    ]),
    '## Who may stand in the rooms', '',
    table(['room', 'join', 'who'], roomRows(catalogue.rights, sends.flatMap(({ route }) => [...route.to, ...route.except]))), '',
    '## What clients get', '',
    ...sends.map((operation) => eventSection(catalogue, operation)),
  ].join('\n').trimEnd() + '\n';
}

/* The pages as they should be: {name: text}. */
export function pages(catalogue = readCatalogue()) {
  const files = [...new Set(catalogue.channels.filter(({ kafka }) => kafka).map(({ file }) => file))];
  return Object.fromEntries(files.map((file) => [`${basename(file, '.yaml')}.md`, page(catalogue, file)]));
}

export const PAGES_DIR = join(root, 'docs/domains');

if (resolve(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) {
  const made = pages();
  mkdirSync(PAGES_DIR, { recursive: true });
  for (const name of readdirSync(PAGES_DIR).filter((old) => !made[old])) rmSync(join(PAGES_DIR, name));
  for (const [name, text] of Object.entries(made)) writeFileSync(join(PAGES_DIR, name), text);
  console.log(`docs/domains: ${Object.keys(made).length} pages`);
}
