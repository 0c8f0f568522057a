import { type Frame, type Reply, withReply } from '@shadowcat/kernel';
import { asObject, type Call, type JsonObject, objectAt } from '@shadowcat/wire';

/** Tools that are remembered of one server. */
const MAX_TOOLS = 10_000;
/** Lists of more bytes than this are not looked into. */
const MAX_BYTES = 4 * 1024 * 1024;

/** What a tool's `annotations` say (2025-11-25 and 2026-07-28, Tools, "ToolAnnotations"). */
type HintTest = (hints: JsonObject | undefined) => boolean;

/** Whether a call changes nothing. */
export const saysReadOnly: HintTest = (hints) => hints?.['readOnlyHint'] === true;

/** Whether a second call changes nothing more. */
const saysRepeatable: HintTest = (hints) => saysReadOnly(hints) || hints?.['idempotentHint'] === true;

/**
 * Which tools of which server say something of themselves, by the `annotations` of the last `tools/list` that was seen; without
 * another test, that they may be called twice.
 */
export class ToolHints {
  readonly #targets = new Map<string, Set<string>>();
  readonly #says: HintTest;

  constructor(says: HintTest = saysRepeatable) {
    this.#says = says;
  }

  marked(target: string, tool: string): boolean {
    return this.#targets.get(target)?.has(tool) === true;
  }

  /** Looks into the answer to `tools/list` as it passes; every other answer is returned as it is. */
  watch(call: Call | undefined, target: string | undefined, answer: Reply): Reply {
    if (call?.method !== 'tools/list' || call.batch || target === undefined || answer.head.status !== 200)
      return answer;
    let fresh = objectAt(call.message?.value, 'params')?.['cursor'] === undefined;
    const frame = ({ message }: Frame): void => {
      const tools = objectAt(message, 'result')?.['tools'];
      if (!Array.isArray(tools)) return;
      this.#learn(target, tools, fresh);
      fresh = false;
    };
    const { ready, framing } = answer.body;
    if (ready === undefined) return withReply(answer, { body: answer.body.with({ transforms: false, frame }) });
    if (ready.length > MAX_BYTES) return answer;
    const decoder = framing.decoder();
    for (const one of [...decoder.push(ready), ...decoder.end()]) frame(one);
    return answer;
  }

  #learn(target: string, tools: readonly unknown[], fresh: boolean): void {
    const known = fresh ? new Set<string>() : (this.#targets.get(target) ?? new Set<string>());
    for (const tool of tools) {
      const name = asObject(tool)?.['name'];
      const hints = objectAt(tool, 'annotations');
      if (typeof name !== 'string') continue;
      known.delete(name);
      if (this.#says(hints) && known.size < MAX_TOOLS) known.add(name);
    }
    this.#targets.set(target, known);
  }
}
