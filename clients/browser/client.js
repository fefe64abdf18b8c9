// Asks a Shortlist gateway from a page, over gRPC-Web through a proxy. build.sh makes gen/ from the protos first.

import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcWebTransport } from '@connectrpc/connect-web';
import { BadRequestSchema, ErrorInfoSchema } from './gen/google/rpc/details_pb.js';
import { RecommenderService } from './gen/shortlist/v1/recommender_pb.js';

// Repeats per call are paid from a budget: one for ten calls that succeed, so that a gateway in trouble is not asked twice as often.
const REPEAT = { most: 2, gain: 0.1, waitMs: 100 };
let budget = REPEAT.most;

/**
 * Returns the reply to one request.
 * @param {string} proxy address of the proxy, http://HOST:PORT.
 * @param {object} request a RecommendRequest; fields in camelCase (events, conditions, k, itemMask ...).
 * @param {{deadlineMs?: number, token?: string}} options the time that the call may take, and an API key or token.
 * @throws {ConnectError} the call was refused; `refusal` reads it.
 */
export async function recommend(proxy, request, { deadlineMs = 1000, token } = {}) {
  const client = createClient(RecommenderService, createGrpcWebTransport({ baseUrl: proxy }));
  const headers = { 'x-request-id': crypto.randomUUID?.() ?? String(Math.random()).slice(2) };
  if (token) headers.authorization = `Bearer ${token}`;
  const until = Date.now() + deadlineMs;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const reply = await client.recommend(request, { timeoutMs: Math.max(1, until - Date.now()), headers });
      budget = Math.min(REPEAT.most, budget + REPEAT.gain);
      return reply;
    } catch (error) {
      const mayRepeat = ConnectError.from(error).code === Code.Unavailable && attempt === 0 && budget >= 1;
      if (!mayRepeat || Date.now() + REPEAT.waitMs >= until) throw error;
      budget -= 1;
      await new Promise((resolve) => { setTimeout(resolve, REPEAT.waitMs); });
    }
  }
}

/** Returns code, message, reason and wrong fields of a refused call. */
export function refusal(error) {
  const refused = ConnectError.from(error);
  const [info] = refused.findDetails(ErrorInfoSchema);
  const [bad] = refused.findDetails(BadRequestSchema);
  const violations = (bad?.fieldViolations ?? []).map(({ field, description }) => ({ field, description }));
  return { code: Code[refused.code], message: refused.rawMessage, reason: info?.reason ?? '', violations };
}
