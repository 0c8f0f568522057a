import { join } from 'node:path';
import type { Visit } from './visit.js';

export const everythingVisit: Visit = {
  lists: 'echo',
  calls: [
    { name: 'echo', args: { message: 'Grüße ☃' }, says: /Echo: Grüße ☃/ },
    { name: 'get-sum', args: { a: 2, b: 40 }, says: /\b42\b/ },
  ],
  error: { name: 'get-sum', args: { a: 'two', b: 40 }, says: /Invalid arguments for tool get-sum/ },
  prompt: { name: 'args-prompt', args: { city: 'Lisbon' }, says: /Lisbon/ },
  resource: { uri: 'demo://resource/static/document/features.md', says: /Features/ },
  progress: {
    name: 'trigger-long-running-operation',
    args: { duration: 0.2, steps: 4 },
    says: /Long running operation completed/,
    steps: 4,
  },
  ask: { name: 'trigger-sampling-request', args: { prompt: 'Say hello', maxTokens: 20 }, says: /sampled/ },
};

/** @param directory the one that the server may use; it holds `notes.txt` with the text `kept` */
export function filesystemVisit(directory: string): Visit {
  return {
    lists: 'read_text_file',
    calls: [
      { name: 'read_text_file', args: { path: join(directory, 'notes.txt') }, says: /kept/ },
      { name: 'list_directory', args: { path: directory }, says: /notes\.txt/ },
    ],
    error: {
      name: 'read_text_file',
      args: { path: join(directory, '..', 'outside.txt') },
      says: /Access denied/,
    },
  };
}

/** The graph must hold the entity `Engine` with the observation `made of brass`. */
export const memoryVisit: Visit = {
  lists: 'search_nodes',
  calls: [
    { name: 'search_nodes', args: { query: 'brass' }, says: /Engine/ },
    { name: 'open_nodes', args: { names: ['Engine'] }, says: /made of brass/ },
  ],
  error: {
    name: 'add_observations',
    args: { observations: [{ entityName: 'Nobody', contents: ['x'] }] },
    says: /Entity with name Nobody not found/,
  },
  resource: { uri: 'memory://knowledge-graph', says: /Engine/ },
};

export const fastmcpVisit: Visit = {
  lists: 'echo',
  calls: [
    { name: 'echo', args: { message: 'Grüße ☃' }, says: /Echo: Grüße ☃/ },
    { name: 'add', args: { a: 2, b: 40 }, says: /Sum: 42/ },
  ],
  error: { name: 'fail', args: {}, says: /failed as asked/ },
  prompt: { name: 'greet', args: { who: 'Ada' }, says: /Greet Ada/ },
  resource: { uri: 'text://notes', says: /notes of fastmcp/ },
  progress: { name: 'count', args: { steps: 4 }, says: /counted to 4/, steps: 4 },
};

export const fixtureVisit: Visit = {
  lists: 'echo',
  calls: [
    { name: 'echo', args: { message: 'Grüße ☃' }, says: /Grüße ☃/ },
    { name: 'big', args: { bytes: 100_000 }, says: /.{100000}/ },
  ],
  error: { name: 'test_error_handling', args: {}, says: /intentionally returns an error/ },
  prompt: { name: 'test_prompt_with_arguments', args: { arg1: 'one', arg2: 'two' }, says: /one.*two/ },
  resource: { uri: 'test://static-text', says: /text/ },
  progress: { name: 'progress', args: { steps: 4, delayMs: 20 }, says: /content/, steps: 4 },
  ask: { name: 'test_sampling', args: { prompt: 'Say hello' }, says: /sampled/ },
};
