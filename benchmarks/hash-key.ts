// `node benchmarks/hash-key.ts`: what it costs to hash a key of 26 bytes, beside what Node.js brings along.
import { createHash, hash } from "node:crypto";
import { xxh64 } from "@tulle/client/balancing";
import { median } from "./alternate.ts";

const ROUNDS = 9;
const CALLS = 200_000;

const keys = Array.from({ length: 1_024 }, (_, at) => `user-${String(at).padStart(21, "0")}`);
const wanted = new Uint32Array(1);

/** Contenders take turns in one process; each keeps a number, so that nothing it computes is left out. */
const contenders: readonly { readonly name: string; readonly hash: (key: string) => number }[] = [
  { name: "calibration: the key's length", hash: (key) => key.length },
  { name: "xxh64 of @tulle/client", hash: (key) => xxh64(key).low },
  { name: "crypto.hash sha1", hash: (key) => hash("sha1", key, "buffer").readUInt32LE(0) },
  { name: "crypto.createHash sha1", hash: (key) => createHash("sha1").update(key).digest().readUInt32LE(0) },
];

const nanosOf = (each: (key: string) => number): number => {
  const beganNs = process.hrtime.bigint();
  let all = 0;
  for (let call = 0; call < CALLS; call++) all ^= each(keys[call & 1_023] ?? "");
  wanted[0] = all;
  return Number(process.hrtime.bigint() - beganNs) / CALLS;
};

const rounds = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const { name, hash: each } of contenders) {
    const nanos = nanosOf(each);
    // The first round warms up.
    if (round > 0) rounds.get(name)?.push(nanos);
  }
}
const found = contenders.map(({ name }) => ({ name, nanos: median(rounds.get(name) ?? []) }));
const ours = found[1]?.nanos ?? Number.NaN;
const width = Math.max(...found.map(({ name }) => name.length));
process.stdout.write(
  `ns per key of 26 bytes, median of ${ROUNDS} rounds of ${CALLS} keys, Node ${process.version}\n\n`,
);
for (const { name, nanos } of found) {
  process.stdout.write(
    `${name.padEnd(width)}  ${nanos.toFixed(0).padStart(5)}  (${(nanos / ours).toFixed(2)} of xxh64)\n`,
  );
}
