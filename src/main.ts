import { processIo } from './cli/io.ts';
import { runCli } from './cli/program.ts';

const io = processIo();
process.exitCode = await runCli(process.argv.slice(2), io);
