/** ByteWriter against what JSON, Date and String make of the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteWriter } from "../../outputs/json.ts";
import { formatTime } from "../reference/format-time.ts";

const written = (write: (writer: ByteWriter) => void): string => {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.view().toString("utf8");
};

/** Text with many of the characters that need escaping, and all others. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('"', "\\", "\n", "\r", "\t", "\b", "\f", "\0", "\x1f", "\x7f", "/", "é", "\u2028", "😀"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
  ),
});

test("any text is escaped as JSON.stringify does it, and JSON.parse gives it back", () => {
  fc.assert(
    fc.property(text, text, text, (before, message, after) => {
      const bytes = Buffer.from(before + message + after);
      const from = Buffer.byteLength(before);
      const json = written((writer) => writer.escaped(bytes, from, from + Buffer.byteLength(message)));
      assert.equal(json, JSON.stringify(message).slice(1, -1));
      assert.equal(JSON.parse(`"${json}"`), message);
    }),
  );
});

test("a message of many pieces is escaped whole, wherever the pieces end", () => {
  for (const unit of ["a", '"', "\0", "é", "😀", 'x"\n']) {
    const message = unit.repeat(50_000);
    const bytes = Buffer.from(message);
    const json = written((writer) => writer.escaped(bytes, 0, bytes.length));
    assert.ok(json === JSON.stringify(message).slice(1, -1), JSON.stringify(unit));
  }
});

test("a time has the digits that the log gave, none without a dot, as its slow twin says", () => {
  const seconds = fc.oneof(
    fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }),
    fc.integer({ min: 1_790_000_000, max: 1_790_000_010 }),
  );
  const moment = fc.tuple(seconds, fc.integer({ min: 0, max: 999_999_999 }), fc.integer({ min: 0, max: 9 }));
  fc.assert(
    fc.property(fc.array(moment, { minLength: 1 }), (moments) => {
      // One writer for all, so that its memory of the last second is put to the test.
      const writer = new ByteWriter();
      for (const [s, nanos, digits] of moments) {
        writer.length = 0;
        writer.time(s, nanos, digits);
        assert.equal(writer.view().toString(), formatTime(s, nanos, digits));
      }
    }),
  );
});

test("a time outside of four-digit years is shown as the first or last moment within", () => {
  assert.equal(
    written((writer) => writer.time(1e12, 5, 0)),
    "9999-12-31T23:59:59Z",
  );
  assert.equal(
    written((writer) => writer.time(-1e12, 0, 3)),
    "0001-01-01T00:00:00.000Z",
  );
});

test("numbers are decimal, with leading zeros where asked for", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      assert.equal(
        written((writer) => writer.number(value)),
        String(value),
      );
      assert.equal(
        written((writer) => writer.padded(value, 18)),
        String(value).padStart(18, "0"),
      );
    }),
  );
});

test("what was written can be taken back, and the rest stays when the buffer grows", () => {
  const writer = new ByteWriter(4);
  writer.ascii("kept ");
  const mark = writer.length;
  writer.buffer(Buffer.alloc(10_000, "x"));
  writer.length = mark;
  writer.byte(0x21);
  writer.buffer(Buffer.alloc(100_000, "y"));
  assert.equal(writer.view().toString(), `kept !${"y".repeat(100_000)}`);
});
