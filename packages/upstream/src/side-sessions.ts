import { type Exchange, type FrameObserver, overlaid, type Reply, withExchange, withReply } from '@shadowcat/kernel';
import { asObject, type Call, callSlot, type SessionHandle, sessionSlot } from '@shadowcat/wire';
import type { Destination } from './group.js';
import { SideSession } from './side-session.js';

/** Questions of servers that a client has not answered; the oldest makes room. */
const MAX_QUESTIONS = 100;

/** What one client's session has at other groups than its own. */
interface Sides {
  readonly sessions: Map<Destination, SideSession>;
  /** JSON texts of ids: questions that servers there have put to the client, and requests of the client in flight there. */
  readonly questions: Map<string, Destination>;
  readonly requests: Map<string, Destination>;
}

/**
 * Legacy sessions whose requests are routed to several groups. Each has its own group, where it was opened and where everything
 * goes that is about the session as a whole; a request that a rule sends elsewhere gets a session of its own there.
 */
export class SideSessions {
  readonly #sides = new WeakMap<SessionHandle, Sides>();

  /** Sends a request of `session` to another group than its own. */
  async ask(exchange: Exchange, session: SessionHandle, group: Destination): Promise<Reply> {
    const sides = this.#of(session);
    let side = sides.sessions.get(group);
    if (side === undefined) {
      side = new SideSession(session, group.name);
      sides.sessions.set(group, side);
    }
    const asked = exchange.context.get(callSlot)?.message?.idText;
    const forget = asked === undefined ? () => {} : remember(sides.requests, asked, group);
    try {
      const context = overlaid(exchange.context, sessionSlot, side);
      const answer = await group.handle(withExchange(exchange, { context }));
      if (answer.body.framing.name !== 'sse') {
        forget();
        return answer;
      }
      return withReply(answer, { body: answer.body.with(questionsIn(sides, group)), dispose: forget });
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** The group that a message is for which belongs to an earlier one: the answer to a question, the end of a request. */
  groupOf(call: Call, session: SessionHandle): Destination | undefined {
    const sides = this.#sides.get(session);
    const { message } = call;
    if (sides === undefined || message === undefined || call.batch) return undefined;
    if (message.kind === 'response') {
      const id = message.idText ?? '';
      const group = sides.questions.get(id);
      sides.questions.delete(id);
      return group;
    }
    if (message.method !== 'notifications/cancelled') return undefined;
    return sides.requests.get(JSON.stringify(asObject(message.value['params'])?.['requestId'] ?? null));
  }

  #of(session: SessionHandle): Sides {
    let sides = this.#sides.get(session);
    if (sides === undefined) {
      sides = { sessions: new Map(), questions: new Map(), requests: new Map() };
      this.#sides.set(session, sides);
    }
    return sides;
  }
}

function remember(where: Map<string, Destination>, id: string, group: Destination): () => void {
  where.set(id, group);
  return () => void where.delete(id);
}

/** Notes what a server asks while it answers. */
function questionsIn(sides: Sides, group: Destination): FrameObserver {
  const { questions } = sides;
  return {
    transforms: false,
    frame({ message }) {
      const value = asObject(message);
      if (value === undefined || value['id'] === undefined || value['method'] === undefined) return;
      questions.set(JSON.stringify(value['id']), group);
      const [oldest] = questions.keys();
      if (questions.size > MAX_QUESTIONS && oldest !== undefined) questions.delete(oldest);
    },
  };
}
