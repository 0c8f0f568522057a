// Writes what is generated from the table of options and the commands; the package must be built.
import { generate } from '../dist/docs/generate.js';

generate();
