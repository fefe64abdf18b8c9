'use strict';
// Asks a Shortlist gateway for items. Everything about the messages is read from ../../protos when the program starts.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const PROTOS = path.join(__dirname, '..', '..', 'protos');
const LOADING = { keepCase: true, longs: Number, enums: String, defaults: true, arrays: true, oneofs: true };
const USAGE = 'usage: node recommend.js --address HOST:PORT --text TEXT [--k N] [--deadline-ms N] [--ca PEM_FILE] [--json]';

// The parts of google.rpc that tell why a call was refused; they are not in protos/, as grpc carries them on its own.
const GOOGLE_RPC = protoLoader.fromJSON({
  nested: {
    Any: { fields: { type_url: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    Status: { fields: { details: { rule: 'repeated', type: 'Any', id: 3 } } },
    ErrorInfo: { fields: { reason: { type: 'string', id: 1 } } },
    FieldViolation: { fields: { field: { type: 'string', id: 1 }, description: { type: 'string', id: 2 } } },
    BadRequest: { fields: { field_violations: { rule: 'repeated', type: 'FieldViolation', id: 1 } } },
  },
}, LOADING);

class UsageError extends Error {}

function readArguments() {
  const options = {
    address: { type: 'string' }, text: { type: 'string' }, k: { type: 'string', default: '10' },
    'deadline-ms': { type: 'string', default: '1000' }, ca: { type: 'string' }, json: { type: 'boolean', default: false },
  };
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (values.address === undefined || values.text === undefined) throw new UsageError('--address and --text are needed');
  const numbers = { k: Number(values.k), deadlineMs: Number(values['deadline-ms']) };
  if (!Number.isInteger(numbers.k)) throw new UsageError(`--k is a whole number, not ${values.k}`);
  if (!(numbers.deadlineMs > 0)) throw new UsageError(`--deadline-ms is above 0, not ${values['deadline-ms']}`);
  return { ...values, ...numbers };
}

function connect(address, caFile) {
  const definition = protoLoader.loadSync('shortlist/v1/recommender.proto', { ...LOADING, includeDirs: [PROTOS] });
  const { RecommenderService } = grpc.loadPackageDefinition(definition).shortlist.v1;
  const credentials = caFile ? grpc.credentials.createSsl(fs.readFileSync(caFile)) : grpc.credentials.createInsecure();
  return new RecommenderService(address, credentials);
}

function recommend(client, { text, k, deadlineMs }) {
  const request = { text, k, item_mask: { paths: ['title'] } };
  return new Promise((resolve, reject) => {
    const deadline = new Date(Date.now() + deadlineMs);
    client.Recommend(request, { deadline }, (error, reply) => (error ? reject(error) : resolve(reply)));
  });
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

function plain(reply) {
  const items = reply.items.map(({ id, rank, score, similarity, item }) => (
    // `similarity` is absent, and not 0, where no vector query was made.
    { id, rank, score, similarity: similarity ?? null, title: item ? item.title : '' }));
  const { release_id, request_id, shortfall_count, degradations } = reply;
  return { release_id, request_id, shortfall_count, degradations, items };
}

function print(shortlist, asJson) {
  if (asJson) {
    console.log(JSON.stringify(shortlist, null, 2));
    return;
  }
  for (const { rank, similarity, id, title } of shortlist.items) {
    console.log(`${String(rank).padStart(3)}  ${similarity === null ? '     -' : similarity.toFixed(4)}  ${title}  (${id})`);
  }
  for (const { reason, detail } of shortlist.degradations) console.error(`${reason}: ${detail}`);
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
  let client;
  try {
    const values = readArguments();
    client = connect(values.address, values.ca);
    print(plain(await recommend(client, values)), values.json);
  } catch (error) {
    process.exitCode = printError(error);
  } finally {
    if (client) client.close();
  }
}

main();
