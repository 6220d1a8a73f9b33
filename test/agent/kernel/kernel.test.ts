/** The kernels against their twins, over arbitrary bytes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { STDERR } from "../../../agent/batch.ts";
import { compileKernel } from "../../../agent/kernel/build.ts";
import { kernelsEnabled, switchKernels } from "../../../agent/kernel/kernel.ts";
import { openBody } from "../../../outputs/body.ts";
import { compress } from "../../../outputs/gzip.ts";
import { anyRow, batchOf, type Row } from "../../support/batches.ts";
import { elasticsearchOutput } from "../../support/elasticsearch-output.ts";
import { requestsOf, withKernels } from "../../support/kernels.ts";
import { anyPieces, noise, payloadOf, payloads } from "../../support/payloads.ts";
import { origin } from "../../support/rows.ts";

switchKernels(true);

test("the compiled kernel is that of its sources", async () => {
  const top = join(import.meta.dirname, "..", "..", "..");
  const committed = readFileSync(join(top, "agent", "kernel", "wasm.ts"), "utf8");
  assert.ok(committed === (await compileKernel()), "agent/kernel/wasm.ts is stale: npm run kernel");
});

test("this machine has the SIMD that these tests are about", () => {
  assert.ok(kernelsEnabled());
});

for (const [name, payload] of Object.entries(payloads))
  test(`gzip by the kernel: what is compressed decodes to itself: ${name}`, () => {
    assert.ok(gunzipSync(compress(payload, "gzip")).equals(payload));
  });

test("gzip by the kernel: any payload decodes to itself, whatever was compressed before and however it comes in", () => {
  fc.assert(
    fc.property(anyPieces, fc.array(fc.nat(100_000), { maxLength: 5 }), (pieces, cuts) => {
      const payload = payloadOf(pieces);
      const body = openBody("gzip");
      let at = 0;
      for (const cut of cuts) {
        body.write(payload.subarray(at, at + cut));
        at += cut;
      }
      body.write(payload.subarray(at));
      assert.equal(body.bytes, payload.length);
      assert.ok(gunzipSync(body.close()).equals(payload));
    }),
  );
});

test("gzip by the kernel: it is at most a tenth larger than what zlib makes of logs", () => {
  const text = payloads["log text, 5 MB"] as Buffer;
  const twin = withKernels(false, () => compress(text, "gzip")).length;
  assert.ok(compress(text, "gzip").length < twin * 1.1);
});

test("gzip by the kernel: a block that literals fill up may end just where a long repeat begins", () => {
  // 49,152 symbols are a block. Nothing is looked for at most places in noise, so that the beginning decides where.
  const twice = Buffer.concat([noise(64), noise(64)]);
  for (let before = 0; before < 500; before++) {
    const payload = Buffer.concat([
      noise(before, "before"),
      twice,
      noise(48_960 - before, "behind"),
      Buffer.alloc(6000),
    ]);
    assert.ok(gunzipSync(compress(payload, "gzip")).equals(payload), `${before} bytes before`);
  }
});

for (const schema of ["ecs", "fluentbit"] as const)
  test(`rows by the kernel are byte for byte those of the twin, and so is where a request ends: ${schema}`, () => {
    const output = elasticsearchOutput(["http://127.0.0.1:1"], { schema, compression: "none" });
    fc.assert(
      fc.property(
        fc.array(anyRow, { maxLength: 20 }),
        fc.oneof(fc.constant(4_000_000), fc.nat(20_000)),
        fc.integer({ min: 1, max: 20 }),
        (rows, maxBytes, maxRows) => {
          const batch = batchOf(rows);
          const requests = (): string[] => requestsOf(output, batch, maxBytes, maxRows);
          assert.deepEqual(requests(), withKernels(false, requests));
        },
      ),
    );
  });

test("what the encoder tells the compressor is true: rows of any kind, mixed with others, decode to what the twin writes", () => {
  const output = elasticsearchOutput(["http://127.0.0.1:1"]);
  fc.assert(
    fc.property(
      fc.array(fc.array(anyRow, { maxLength: 60 }), { maxLength: 4 }),
      fc.nat(200_000),
      (batches, maxBytes) => {
        const all = batches.map((rows) => batchOf(rows));
        const requests = (): string[] => {
          const bodies: string[] = [];
          let request = output.open();
          for (const batch of all)
            for (let at = 0; at < batch.rows; ) {
              at = request.append(batch, at, maxBytes, 1000);
              if (at === batch.rows) break;
              bodies.push(gunzipSync(request.close().body).toString("latin1"));
              request = output.open();
            }
          return [...bodies, gunzipSync(request.close().body).toString("latin1")];
        };
        assert.deepEqual(requests(), withKernels(false, requests));
      },
    ),
  );
});

test("what a row repeats of the one before is true across pieces, containers, and rows that were taken back", () => {
  const output = elasticsearchOutput(["http://127.0.0.1:1"]);
  const origins = Array.from({ length: 7 }, (_, i) => ({ ...origin, pod: `web-${i}` }));
  const batches = Array.from({ length: 60 }, (_, container) => {
    const rows = Array.from({ length: 1 + ((container * 37) % 90) }, (_, i): Row => {
      const message =
        i % 40 === 0 ? noise(50_000, `${container} ${i}`).toString("latin1") : `GET /items/${i * container}`;
      const flags = i % 5 === 0 ? STDERR : 0;
      return {
        message,
        offset: i * 300,
        seconds: 1_790_000_000 + i,
        nanos: i * 77,
        digits: 9,
        flags,
        elsewhere: false,
      };
    });
    return batchOf(rows, origins[(container >> 1) % 7]);
  });
  const bodies = (maxBytes: number): string[] => {
    const made: string[] = [];
    let request = output.open();
    for (const batch of batches)
      for (let at = 0; at < batch.rows; ) {
        at = request.append(batch, at, maxBytes, 1e9);
        if (at === batch.rows) break;
        made.push(gunzipSync(request.close().body).toString("latin1"));
        request = output.open();
      }
    return [...made, gunzipSync(request.close().body).toString("latin1")];
  };
  for (const maxBytes of [1e9, 400_000, 90_000])
    assert.ok(bodies(maxBytes).join("\n") === withKernels(false, () => bodies(maxBytes).join("\n")), `${maxBytes}`);
});

test("a request of many batches is the same by the kernel and by the twin, and decodes", () => {
  const output = elasticsearchOutput(["http://127.0.0.1:1"]);
  const rows = Array.from({ length: 9000 }, (_, i): Row => {
    const flags = i % 3 === 0 ? STDERR : 0;
    return {
      message: `line ${i} "x"\t\u{1f600}`,
      offset: i * 50,
      seconds: 1_790_000_000 + i,
      nanos: i,
      digits: 9,
      flags,
      elsewhere: false,
    };
  });
  const batch = batchOf(rows);
  const body = (): string => {
    const request = output.open();
    for (let i = 0; i < 3; i++) assert.equal(request.append(batch, 0, 1e9, 1e9), batch.rows);
    return gunzipSync(request.close().body).toString("latin1");
  };
  assert.ok(body() === withKernels(false, body));
});
