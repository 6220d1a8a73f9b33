import assert from "node:assert/strict";
import { test } from "node:test";
import { Pause } from "../../../agent/pods/pause.ts";

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;

test("a long back-off ends soon once somebody waits, whenever that begins", async () => {
  const pause = new Pause(1);
  const before = pause.last(0, HOUR_MS, never);
  pause.hurry();
  await before;
  // The first part of this one is over before anybody waits.
  const late = pause.last(0, HOUR_MS, never);
  const hurrying = setInterval(() => pause.hurry(), 5);
  await late;
  clearInterval(hurrying);
});

test("what the server asked for is kept to, however many wait", async () => {
  const stop = new AbortController();
  const [asked, other] = [new Pause(1), new Pause(1)];
  const long = asked.last(HOUR_MS, HOUR_MS, stop.signal).then(() => "what was asked for");
  const short = other.last(0, HOUR_MS, never).then(() => "back-off");
  asked.hurry();
  other.hurry();
  assert.equal(await Promise.race([long, short]), "back-off");
  stop.abort();
  await long;
});

test("who waited for the last answer does not shorten the next pause", async () => {
  const stop = new AbortController();
  const [left, other] = [new Pause(1), new Pause(1)];
  left.hurry();
  const long = left.last(0, HOUR_MS, stop.signal).then(() => "nobody waits");
  const short = other.last(0, HOUR_MS, never).then(() => "somebody waits");
  other.hurry();
  assert.equal(await Promise.race([long, short]), "somebody waits");
  stop.abort();
  await long;
});
