export { harOf } from './har.js';
export { type ExportFormat, exportLosses } from './losses.js';
export { MERMAID_LIMIT, mermaidOf } from './mermaid.js';
export { otlpOf } from './otlp.js';
