export type { Call, Era } from './call.js';
export { claimedVersion, classify, isModern, targetOf } from './classify.js';
export { clientFields } from './client-fields.js';
export { drainLines } from './drain-lines.js';
export { envelopeProblem } from './envelope-problem.js';
export { FrameQueue } from './frame-queue.js';
export { framingOf, mediaType } from './framings.js';
export { decodeHeaderValue, encodeHeaderValue } from './header-values.js';
export { hopByHop } from './hop-by-hop.js';
export { jsonFraming } from './json-framing.js';
export { asObject, objectAt } from './json-object.js';
export { jsonReply } from './json-reply.js';
export type { Json, JsonObject, Message, MessageKind, RpcError, RpcId } from './jsonrpc.js';
export { knownRevisions } from './known-revisions.js';
export { LineClient, type LineClientComponents, type LineClientOptions, type LineStats } from './line-client.js';
export { type LineServer, type LineServerComponents, type LineServerOptions, serveLine } from './line-server.js';
export { LEVELS } from './log-levels.js';
export { keepMembers, type MemberChanges, withMembers } from './members.js';
export { type ModernExchangeParts, modernExchange } from './modern-exchange.js';
export { checkModernHeaders, modernHeaders } from './modern-headers.js';
export { ndjson, ndjsonFraming } from './ndjson-framing.js';
export { oneLine } from './one-line.js';
export { OwedAnswers } from './owed-answers.js';
export { ParamHeaders } from './param-headers.js';
export { ask, noAnswer, type Posted, post } from './post.js';
export * from './protocol.js';
export {
  parseMessages,
  type ReadLimits,
  type ReadMessages,
  readLine,
  readMessage,
  readMessages,
} from './read-messages.js';
export type { OnRecovery, RecoveryEvent, RecoveryOutcome } from './recovery-event.js';
export { type ErrorReplyOptions, type ErrorReplyRule, errorReply, errorText, REPLIES } from './replies.js';
export { type JsonLimits, type Outline, outlineJson, type Span, scanJson } from './scan-json.js';
export type { SessionHandle, UpstreamBinding } from './session-handle.js';
export {
  callSlot,
  conversationSlot,
  credentialSlot,
  failureSlot,
  peerSlot,
  type ResumableStream,
  resumableSlot,
  sessionSlot,
  targetSlot,
  trialSlot,
} from './slots.js';
export { type Edit, elementTexts, skipValue, spanOf, spliceMessage, textAt } from './splice.js';
export { sseBytes } from './sse-event.js';
export { type SseLimits, sse, sseFraming } from './sse-framing.js';
export { StandingStream, type StandingStreamOptions, streamConflict } from './standing-stream.js';
export { type Failure, failureText, notificationText, requestText, responseText } from './texts.js';
export { type ToolParamHeadersOptions, toolParamHeaders } from './tool-param-headers.js';
export { unlessAborted } from './until-aborted.js';
export { whenSent } from './when-sent.js';
