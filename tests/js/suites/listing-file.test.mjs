// `listing` as a file: the compiled dialect's own suite, whose events are checked against the compiled one's document.
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../dialects/listing-file.toml', import.meta.url));
process.env.PARLANCE_TEST_DIALECTS = 'listing=listing-file';
process.env.PARLANCE_TEST_SETTINGS = `${process.env.PARLANCE_TEST_SETTINGS ?? ''} DIALECT_FILES=${file} DIALECTS=assistant,conversation,agent,messenger,listing-file`;
await import('./listing.test.mjs');
