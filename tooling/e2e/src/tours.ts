import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scribe } from './transcript.js';

/** A walk through one server: the same requests in the same order every time. */
export type Tour = (scribe: Scribe) => Promise<void>;

/** server-everything: it offers the tools that ask the client only to clients that can answer. */
export const everythingTour: Tour = async (scribe) => {
  await scribe.listTools();
  await scribe.call('echo', { message: 'Grüße, 世界 ☃' });
  await scribe.call('get-sum', { a: 2, b: 40 });
  await scribe.call('get-annotated-message', { messageType: 'error', includeImage: true });
  await scribe.call('get-structured-content', { location: 'Chicago' });
  await scribe.call('get-resource-links', { count: 2 });
  await scribe.call('get-tiny-image');
  await scribe.listResources();
  await scribe.listResourceTemplates();
  await scribe.read('demo://resource/static/document/features.md');
  await scribe.listPrompts();
  await scribe.prompt('simple-prompt');
  await scribe.prompt('args-prompt', { city: 'Lisbon', state: 'PT' });
  await scribe.call('trigger-long-running-operation', { duration: 0.2, steps: 4 }, { progress: true });
  await scribe.call('trigger-sampling-request', { prompt: 'Say hello', maxTokens: 20 });
  await scribe.call('trigger-elicitation-request');
  await scribe.call('get-roots-list');
  await scribe.call('no-such-tool');
  await scribe.read('demo://resource/static/document/no-such-file.md');
};

/** @param directory the one that the server may use; files are made in it, so it must be empty before each tour */
export function filesystemTour(directory: string): Tour {
  return async (scribe) => {
    const file = join(directory, 'notes.txt');
    await mkdir(join(directory, 'sub'), { recursive: true });
    await scribe.listTools();
    await scribe.call('list_allowed_directories');
    await scribe.call('write_file', { path: file, content: 'first\nsecond ☃\n' });
    await scribe.call('read_text_file', { path: file });
    await scribe.call('edit_file', { path: file, edits: [{ oldText: 'first', newText: 'zeroth' }] });
    await scribe.call('read_text_file', { path: file });
    await scribe.call('create_directory', { path: join(directory, 'sub', 'deep') });
    await scribe.call('list_directory', { path: directory });
    await scribe.call('directory_tree', { path: directory });
    await scribe.call('search_files', { path: directory, pattern: '**/*.txt' });
    await scribe.call('read_text_file', { path: join(directory, '..', 'outside.txt') });
    await scribe.listResources();
    await scribe.listPrompts();
  };
}

/** server-memory: its file must be gone before each tour. */
export const memoryTour: Tour = async (scribe) => {
  const entities = [
    { name: 'Ada', entityType: 'person', observations: ['wrote notes'] },
    { name: 'Engine', entityType: 'machine', observations: [] },
  ];
  await scribe.listTools();
  await scribe.call('create_entities', { entities });
  await scribe.call('create_relations', { relations: [{ from: 'Ada', to: 'Engine', relationType: 'programmed' }] });
  await scribe.call('add_observations', { observations: [{ entityName: 'Engine', contents: ['made of brass'] }] });
  await scribe.call('search_nodes', { query: 'brass' });
  await scribe.call('open_nodes', { names: ['Ada'] });
  await scribe.call('delete_observations', { deletions: [{ entityName: 'Ada', observations: ['wrote notes'] }] });
  await scribe.call('read_graph');
  await scribe.listResources();
  await scribe.read('memory://knowledge-graph');
  await scribe.listPrompts();
};

/** The fixture: everything that only one of the eras has is done by both, each in its way. */
export const fixtureTour: Tour = async (scribe) => {
  await scribe.listTools();
  await scribe.call('echo', { text: 'Grüße, 世界 ☃', list: [1, 2.5, null, true], nested: { a: { b: [] } } });
  await scribe.call('test_multiple_content_types');
  await scribe.call('test_audio_content');
  await scribe.call('test_error_handling');
  await scribe.call('big', { bytes: 100_000 });
  await scribe.call('test_x_mcp_header', { region: 'eu ☃', level: 3 });
  await scribe.listResources();
  await scribe.listResourceTemplates();
  await scribe.read('test://static-text');
  await scribe.read('test://static-binary');
  await scribe.read('test://template/7/data');
  await scribe.read('test://no-such-resource');
  await scribe.listPrompts();
  await scribe.prompt('test_simple_prompt');
  await scribe.prompt('test_prompt_with_arguments', { arg1: 'one', arg2: 'two' });
  await scribe.prompt('test_input_required_result_prompt');
  await scribe.complete('test_prompt_with_arguments', 'arg1', 'test');
  await scribe.call('progress', { steps: 5, delayMs: 20 }, { progress: true });
  await scribe.call('log', { message: 'hello', level: 'warning', count: 3 }, { logs: true });
  await scribe.call('test_sampling', { prompt: 'Say hello' });
  await scribe.call('test_elicitation', { message: 'Who are you?' });
  await scribe.call('test_elicitation_sep1330_enums');
  await scribe.call('test_input_required_result_multiple_inputs');
  await scribe.call('test_input_required_result_multi_round');
  await scribe.call('list_roots', { stream: 'call' });
  if (scribe.era === 'legacy') await scribe.call('list_roots', { stream: 'get' });
  await scribe.call('no_such_tool');
};
