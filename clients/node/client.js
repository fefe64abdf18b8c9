#!/usr/bin/env node
'use strict';
// Asks a Shortlist gateway. Everything about the messages is read from ../../protos when the program starts.

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { once } = require('node:events');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const PROTOS = process.env.SHORTLIST_PROTOS ?? path.join(__dirname, '..', '..', 'protos');
const LOADING = { keepCase: true, longs: Number, enums: String, defaults: true, arrays: true, oneofs: true };
const COMMANDS = ['recommend', 'health', 'stream'];
const USAGE = 'usage: client.js recommend|health|stream --address HOST:PORT[,HOST:PORT] [--text TEXT] [--event KIND:ID]\n'
  + '  [--where NAME=VALUE,VALUE] [--k N] [--times N] [--deadline-ms N] [--ca PEM_FILE] [--json]';

// Messages that grpc carries on its own, so that protos/ does not have them: why a call was refused, and health.
const GOOGLE_RPC = protoLoader.fromJSON({
  nested: {
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: { fields: { details: { rule: 'repeated', type: 'Any', id: 3 } } },
    ErrorInfo: { fields: { reason: { type: 'string', id: 1 } } },
    FieldViolation: { fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } } },
    BadRequest: { fields: { field_violations: { rule: 'repeated', type: 'FieldViolation', id: 1 } } },
  },
}, LOADING);
const HEALTH = grpc.loadPackageDefinition(protoLoader.fromJSON({
  nested: { grpc: { nested: { health: { nested: { v1: { nested: {
    HealthCheckRequest: { fields: { service: { type: 'string', id: 1 } } },
    HealthCheckResponse: { fields: { status: { type: 'ServingStatus', id: 1 } } },
    ServingStatus: { values: { UNKNOWN: 0, SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } },
    Health: { methods: { Check: { requestType: 'HealthCheckRequest', responseType: 'HealthCheckResponse' } } },
  } } } } } } },
}, LOADING)).grpc.health.v1;

class UsageError extends Error {}

function readArguments() {
  const options = {
    address: { type: 'string' }, text: { type: 'string', default: '' }, event: { type: 'string', multiple: true, default: [] },
    where: { type: 'string', multiple: true, default: [] }, k: { type: 'string', default: '10' },
    times: { type: 'string', default: '1' }, 'deadline-ms': { type: 'string', default: '1000' }, ca: { type: 'string' },
    json: { type: 'boolean', default: false },
  };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
  const { values, positionals: [command, ...rest] } = parsed;
  if (!COMMANDS.includes(command) || rest.length > 0) throw new UsageError(`expected one of ${COMMANDS.join(', ')}`);
  if (values.address === undefined) throw new UsageError('--address is needed');
  const whole = (flag) => {
    if (!/^\d+$/.test(values[flag])) throw new UsageError(`--${flag} is a whole number, not ${values[flag]}`);
    return Number(values[flag]);
  };
  return { ...values, command, k: whole('k'), times: whole('times'), deadlineMs: whole('deadline-ms') };
}

// Several addresses share the calls; the service config repeats a call once, within a budget.
function connect(Service, { address, ca }) {
  const config = fs.readFileSync(path.join(PROTOS, 'shortlist', 'v1', 'service_config.json'), 'utf8');
  const credentials = ca ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
  return new Service(address.includes(',') ? `ipv4:${address}` : address, credentials, {
    'grpc.service_config': config, 'grpc.service_config_disable_resolution': 1, 'grpc.enable_http_proxy': 0,
  });
}

function recommender(values) {
  const definition = protoLoader.loadSync('shortlist/v1/recommender.proto', { ...LOADING, includeDirs: [PROTOS] });
  return connect(grpc.loadPackageDefinition(definition).shortlist.v1.RecommenderService, values);
}

// Returns the two parts of a word around its first separator.
function cut(word, separator) {
  const place = word.indexOf(separator);
  if (place < 0) throw new UsageError(`expected a ${separator} in ${word}`);
  return [word.slice(0, place), word.slice(place + 1)];
}

function requestOf({ text, event, where, k }) {
  const events = event.map((word) => cut(word, ':')).map(([kind, id]) => (
    { item_id: id, kind: `EVENT_KIND_${kind.toUpperCase()}` }));
  const conditions = where.map((word) => cut(word, '=')).map(([attribute, names]) => (
    { attribute, any_of: { values: names.split(',') } }));
  return { ...(text && { text }), events, conditions, k, item_mask: { paths: ['title'] } };
}

function call(client, method, request, { deadlineMs }) {
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + deadlineMs);
    client[method](request, { deadline }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });
}

function print(reply, asJson) {
  const items = reply.items.map(({ id, rank, score, similarity, item }) => (
    // `similarity` is absent, and not 0, where no vector query was made.
    { id, rank, score, similarity: similarity ?? null, title: item ? item.title : '' }));
  const { release_id, request_id, shortfall_count, degradations } = reply;
  if (asJson) {
    console.log(JSON.stringify({ release_id, request_id, shortfall_count, degradations, items }));
    return;
  }
  for (const { rank, id, title } of items) console.log([rank, id, title].join('\t'));
  for (const { reason, detail } of degradations) console.error(`${reason}: ${detail}`);
}

async function recommend(values) {
  const request = requestOf(values);
  const client = recommender(values);
  for (let made = 0; made < values.times; made += 1) {
    print(await call(client, 'Recommend', request, values), values.json);
  }
  client.close();
  return 0;
}

async function health(values) {
  const client = connect(HEALTH.Health, values);
  const { status } = await call(client, 'Check', {}, values);
  console.log(status);
  client.close();
  return status === 'SERVING' ? 0 : 1;
}

// Sends a request for each line of standard input while the outcomes are read; a full pipe waits.
async function stream(values) {
  const client = recommender(values);
  const both = client.RecommendStream();
  const sent = (async () => {
    for await (const text of readline.createInterface({ input: process.stdin })) {
      if (!both.write({ request: { text, k: values.k } })) await once(both, 'drain');
    }
    both.end();
  })();
  const read = (async () => {
    for await (const { index, error, response } of both) {
      const outcome = error ? [error.reason, error.message] : [response.items[0]?.id ?? ''];
      console.log([index, ...outcome].join('\t'));
    }
  })();
  await Promise.all([sent, read]);
  client.close();
  return 0;
}

// Returns the reason and the field violations that came with a refusal: empty where there are none.
function details(error) {
  const found = { reason: '', violations: [] };
  const [packed] = error.metadata ? error.metadata.get('grpc-status-details-bin') : [];
  if (packed === undefined) return found;
  for (const { type_url: type, value } of GOOGLE_RPC.Status.deserialize(packed).details) {
    if (type.endsWith('/google.rpc.ErrorInfo')) found.reason = GOOGLE_RPC.ErrorInfo.deserialize(value).reason;
    if (type.endsWith('/google.rpc.BadRequest')) {
      found.violations = GOOGLE_RPC.BadRequest.deserialize(value).field_violations;
    }
  }
  return found;
}

function printError(error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n${USAGE}`);
    return 2;
  }
  if (!(error.code in grpc.status)) {
    console.error(error.message);
    return 1;
  }
  const { reason, violations } = details(error);
  console.error(`${grpc.status[error.code]}${reason ? ` (${reason})` : ''}: ${error.details}`);
  for (const { field, description } of violations) console.error(`  ${field}: ${description}`);
  return 1;
}

async function main() {
  try {
    const values = readArguments();
    return await { recommend, health, stream }[values.command](values);
  } catch (error) {
    return printError(error);
  }
}

main().then((status) => process.exit(status));
