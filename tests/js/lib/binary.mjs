// The server under test.
import { fileURLToPath } from 'node:url';

export const BINARY = process.env.PARLANCE_BINARY ?? fileURLToPath(new URL('../../../target/debug/parlance', import.meta.url));
