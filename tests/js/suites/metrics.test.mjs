// The figures for Prometheus, and everything based on them: the dashboard, the alerts and their documentation.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Backend } from '../lib/backend.mjs';
import { connect, open } from '../lib/client.mjs';
import { Issuer } from '../lib/issuer.mjs';
import { WEBHOOK_SECRET } from '../lib/receiver.mjs';
import { Server, useServer } from '../lib/server.mjs';
import { newUser } from '../lib/token.mjs';
import { LIMIT, within } from '../lib/wait.mjs';

const KEY = 'the-key-of-a-server';
/** Without an issuer there are no figures of issuers. */
const issuer = await Issuer.start({ after });
/** Without a hook there are no figures of it. */
const backend = await Backend.start();
after(() => backend.stop());
const FOLDER = fileURLToPath(new URL('../../../docs/operating', import.meta.url));
const read = (name) => readFileSync(join(FOLDER, name), 'utf8');
const DASHBOARD = JSON.parse(read('grafana-dashboard.json'));
const ALERTS = read('alerts.yaml');

/** Runs `promtool` (in Debian's package `prometheus`), which must not complain. */
function promtool(args, input) {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8', cwd: FOLDER });
  assert.ifError(error);
  assert.equal(status, 0, stdout + stderr);
  return stdout + stderr;
}

/** Parses families by name, as `{type, help}`, and samples as `[name, labels, value]`. */
function parse(text) {
  const families = new Map();
  const samples = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const [, word, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (word) families.set(name, { ...families.get(name), [word.toLowerCase()]: rest });
    else {
      const [, name, labels, value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      samples.push([name, labels ?? '', Number(value)]);
    }
  }
  return { families, samples };
}

const sum = ({ samples }, wanted, label = '') => samples
  .filter(([name, labels]) => name === wanted && labels.includes(label))
  .reduce((total, [, , value]) => total + value, 0);

/** Returns names of metrics in PromQL or prose. */
const named = (text) => new Set([...text.matchAll(/\b(parlance|process)_[a-z_]+\b/g)].map(([name]) => name));
/** Returns the family of a histogram's part. */
const familyOf = (name) => name.replace(/_(bucket|sum|count)$/, '');

const expressions = [
  ...DASHBOARD.panels.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => expr)),
  ...DASHBOARD.annotations.list.map(({ expr }) => expr),
  ...DASHBOARD.templating.list.filter(({ type }) => type === 'query').map(({ query }) => query.query),
];

describe('metrics', () => {
  const holder = useServer({ env: { API_KEYS: KEY, RATE_LIMIT_EVENTS: '0', OIDC_ISSUER: issuer.url, JWT_AUDIENCE: '*', ...backend.hook(), ...backend.forward(), WEBHOOK_URL: 'http://127.0.0.1:1', WEBHOOK_SECRET } });
  let text;
  let metrics;
  let clients = [];

  after(() => clients.forEach((client) => client.close()));
  before(async () => {
    const { server } = holder;
    const [ann, bob] = [await connect(server, newUser('ann')), await connect(server, newUser('bob'))];
    for (let count = 0; count < 20; count++) await ann.ask('send_direct_message', { recipientId: bob.user.id, content: 'hello' });
    assert.equal((await ann.ask('send_direct_message', { recipientId: bob.user.id })).code, 'INVALID_PAYLOAD');
    bob.close();
    await server.api('GET', `/api/users?query=ann`, { token: ann.user.token });
    // It asks to resume a session that does not exist.
    const lost = open(server, { auth: { token: bob.user.token, pid: 'x'.repeat(20), offset: 'nothing' } });
    await lost.connected();
    clients = [ann, lost];
    const issuerIsKnown = async () => (await server.api('GET', '/metrics')).body.includes('parlance_issuer_keys_age_seconds');
    await within(LIMIT, 'the keys of the issuer', (async () => {
      while (!(await issuerIsKnown()));
    })());
    const response = await server.api('GET', '/metrics');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    text = response.body;
    metrics = parse(text);
  });

  it('are as Prometheus wants them', () => {
    assert.equal(promtool(['check', 'metrics'], text), '');
    for (const [name, { help, type }] of metrics.families) {
      assert.ok(help && type, name);
      if (name.startsWith('parlance_')) assert.ok(help.endsWith('.'), name);
      assert.equal(type === 'counter', name.endsWith('_total'), name);
    }
    const series = new Set(metrics.samples.map(([name, labels]) => `${name}{${labels}}`));
    assert.equal(series.size, metrics.samples.length, 'no series twice');
  });

  it('count what has happened', () => {
    assert.equal(sum(metrics, 'parlance_messages_total'), 20);
    assert.equal(sum(metrics, 'parlance_refusals_total', 'code="INVALID_PAYLOAD"'), 1);
    assert.equal(sum(metrics, 'parlance_refusals_total', 'code="INTERNAL"'), 0);
    assert.ok(metrics.samples.some(([name, labels]) => name === 'parlance_refusals_total' && labels.includes('INTERNAL')), 'there from the start');
    assert.equal(sum(metrics, 'parlance_store_commit_seconds_bucket', 'le="+Inf"'), sum(metrics, 'parlance_store_commit_seconds_count'));
    assert.ok(sum(metrics, 'parlance_store_batch_writes_sum') >= 20);
    assert.ok(sum(metrics, 'parlance_received_bytes_total') > 1_000 && sum(metrics, 'parlance_sent_bytes_total') > 1_000);
    assert.ok(sum(metrics, 'process_resident_memory_bytes') > 1e6 && sum(metrics, 'process_open_fds') > 5);
    assert.ok(Math.abs(sum(metrics, 'process_start_time_seconds') - Date.now() / 1000) < 600);
  });

  it('say what GET /api/admin/stats says', async () => {
    const scrape = async () => parse((await holder.server.api('GET', '/metrics')).body);
    const earlier = await scrape();
    const { body: { stats } } = await holder.server.api('GET', '/api/admin/stats', { headers: { 'x-api-key': KEY } });
    const later = await scrape();
    for (const [name, value] of [
      ['parlance_messages_total', stats.chat.messages],
      ['parlance_requests_total', stats.chat.requests],
      ['parlance_sockets', stats.chat.sockets],
      ['parlance_connections', stats.connections.polling + stats.connections.websocket],
      ['parlance_store_writes_total', stats.store.writes],
      ['parlance_store_commit_seconds_count', stats.store.commitSeconds.count],
      ['parlance_refusals_total', stats.refusals.reduce((total, { count }) => total + count, 0)],
    ]) {
      // Background writes count as well.
      assert.ok(sum(earlier, name) <= value && value <= sum(later, name), `${name}: ${sum(earlier, name)} ≤ ${value} ≤ ${sum(later, name)}`);
    }
  });

  it('have no label that grows with users, rooms or messages', () => {
    const labels = new Set(metrics.samples.flatMap(([, labels]) => [...labels.matchAll(/([a-z_]+)="/g)].map(([, name]) => name)));
    const bounded = ['actor', 'code', 'dialect', 'issuer', 'kind', 'le', 'namespace', 'outcome', 'reason', 'transport', 'version', 'webhook'];
    assert.deepEqual([...labels].sort(), bounded);
  });

  it('are all on the dashboard or in an alert, and all that these name are there', () => {
    const used = new Set([...named([...expressions, ALERTS].join('\n'))].map(familyOf));
    for (const name of used) assert.ok(metrics.families.has(name), `${name} is in no /metrics`);
    for (const name of metrics.families.keys()) assert.ok(used.has(name), `${name} is on no panel and in no alert`);
  });

  it('are all described, with every alert', () => {
    const page = read('monitoring.md');
    const described = named(page);
    for (const name of metrics.families.keys()) assert.ok(described.has(name), `${name} is not described`);
    for (const name of described) assert.ok(metrics.families.has(familyOf(name)), `${name} is described and in no /metrics`);
    for (const [, alert] of ALERTS.matchAll(/alert: (\w+)/g)) assert.ok(page.includes(`\`${alert}\``), `${alert} is not described`);
  });

  it('are for those who have the token, where one is set', async (test) => {
    const server = await Server.start({ env: { METRICS_TOKEN: 'a token of scrapers' } });
    test.after(() => server.remove());
    const scrape = (authorization) => server.api('GET', '/metrics', { headers: authorization ? { authorization } : {} });
    for (const [authorization, code] of [
      [undefined, 'NO_TOKEN'], ['Bearer wrong', 'INVALID_TOKEN'], ['Basic a token of scrapers', 'INVALID_TOKEN'], ['Bearer', 'NO_TOKEN'],
    ]) {
      const { status, body } = await scrape(authorization);
      assert.deepEqual([status, body.code], [401, code], String(authorization));
    }
    assert.equal((await scrape('Bearer a token of scrapers')).status, 200);
  });
});

describe('the dashboard', () => {
  it('has expressions that Prometheus reads', () => {
    const folder = mkdtempSync(join(tmpdir(), 'parlance-rules-'));
    try {
      const rules = expressions.filter((expression) => !expression.startsWith('label_values(')).map((expression, index) => {
        const plain = expression.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'parlance').replaceAll('$instance', '.*');
        return `      - { record: "panel:${index}", expr: ${JSON.stringify(plain)} }`;
      });
      const file = join(folder, 'rules.yaml');
      writeFileSync(file, `groups:\n  - name: dashboard\n    rules:\n${rules.join('\n')}\n`);
      promtool(['check', 'rules', file]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('can be imported: each panel asks the data source that is chosen', () => {
    const [datasource] = DASHBOARD.templating.list;
    assert.deepEqual([datasource.type, datasource.query], ['datasource', 'prometheus']);
    const ids = DASHBOARD.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { type, title, targets, datasource: asked } of DASHBOARD.panels) {
      assert.ok(title);
      if (type === 'row') continue;
      for (const { uid } of [asked, ...targets.map((target) => target.datasource)]) assert.equal(uid, '${datasource}', title);
    }
  });
});

describe('the alerts', () => {
  it('are rules, and fire when they should', () => {
    promtool(['check', 'rules', 'alerts.yaml']);
    promtool(['test', 'rules', 'alerts.test.yaml']);
    const tested = new Set([...read('alerts.test.yaml').matchAll(/alertname: (\w+)/g)].map(([, name]) => name));
    for (const [, alert] of ALERTS.matchAll(/alert: (\w+)/g)) assert.ok(tested.has(alert), `${alert} has no test`);
  });
});
