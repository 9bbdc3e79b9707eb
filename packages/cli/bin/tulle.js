#!/usr/bin/env node
import { runCli } from "@tulle/cli";

process.exitCode = await runCli(process.argv.slice(2));
