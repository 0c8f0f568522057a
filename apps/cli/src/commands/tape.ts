import type { Command } from 'commander';
import type { CommandContext } from './context.js';
import { describe } from './define.js';
import { addLater } from './later.js';

/** `shadowcat tape …`. */
export function addTape(program: Command, _context: CommandContext): void {
  const tape = describe(program.command('tape'), {
    summary: 'Look at tapes and mend them',
    examples: ['tape ls tapes/', 'tape show session.tape.jsonl', 'tape recover session.tape.jsonl.part'],
  });
  tape.helpCommand(false);
  addLater(tape);
}
