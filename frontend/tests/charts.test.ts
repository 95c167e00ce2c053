import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleLinear, scaleLog } from "d3-scale";
import { marks } from "../src/chart/axes";
import { classOf } from "../src/chart/classes";
import { nearest } from "../src/chart/pick";
import { fitted, textWidth } from "../src/chart/svg";
import { sums } from "../src/islands/flows";
import { dayOnAxis, dayWords, onAxis, written } from "../src/language";

test("a value at a limit belongs above it", () => {
  assert.deepEqual([0, 0.19, 0.2, 0.79, 0.8, 1].map((v) => classOf(v, [0.2, 0.4, 0.6, 0.8])), [1, 1, 2, 4, 5, 5]);
  assert.equal(classOf(3, []), 1);
});

test("arrow keys go to the nearest place in their direction, straight ones first", () => {
  const places = [[0, 0], [10, 1], [6, 9], [-5, 0], [0, 20]] as const;
  assert.equal(nearest(places, 0, "ArrowRight"), 1);
  assert.equal(nearest(places, 0, "ArrowLeft"), 3);
  assert.equal(nearest(places, 0, "ArrowDown"), 4);
  assert.equal(nearest(places, 0, "ArrowUp"), null);
  assert.equal(nearest(places, 0, "Enter"), null);
});

test("no forecast is certain, but a share may be", () => {
  assert.equal(written(1, "chance", "en"), ">99%");
  assert.equal(written(0, "chance", "en"), "<1%");
  assert.equal(written(1, "share", "en"), "100%");
  assert.equal(written(0.254, "chance", "ko"), "25%");
});

test("numbers are written as people read them", () => {
  assert.equal(written(12345.6, "count", "en"), "12,346");
  assert.equal(written(0.264, "count", "en"), "0.26");
  assert.equal(written(1.23456, "number", "en"), "1.23");
  assert.equal(written(null, "count", "en"), "–");
  assert.equal(written(Number.NaN, "number", "ko"), "–");
  assert.equal(onAxis(50_000, "count", "ko"), "5만");
  assert.equal(onAxis(50_000, "count", "en"), "50K");
});

test("dates are in the language of the page and never shift by a time zone", () => {
  const day = new Date("2022-07-09");
  assert.equal(dayWords(day, "en"), "9 Jul 2022");
  assert.equal(dayWords(day, "ko"), "2022년 7월 9일");
  assert.equal(dayOnAxis(day, false, true, "en"), "9 Jul");
  assert.match(dayOnAxis(new Date("2023-01-01"), false, false, "en"), /2023/);
});

test("a logarithmic axis marks decades, a linear one round numbers", () => {
  assert.deepEqual(marks(scaleLog([1, 100_000], [0, 1]), 5), [1, 10, 100, 1_000, 10_000, 100_000]);
  assert.deepEqual(marks(scaleLog([10, 90], [0, 1]), 5), [10, 20, 50]);
  assert.deepEqual(marks(scaleLinear([0, 10], [0, 1]), 5), [0, 2, 4, 6, 8, 10]);
});

test("words are cut to a width, Korean ones too", () => {
  assert.equal(fitted("Seoul", 200), "Seoul");
  for (const name of ["Seongnam-si Sujeong-gu", "성남시 수정구 신흥동"]) {
    const cut = fitted(name, 60);
    assert.ok(cut.endsWith("…") && cut.length < name.length && textWidth(cut) <= 60, cut);
  }
});

test("trips add up by place", () => {
  const flow = (origin: string, destination: string, trips: number) => ({ origin, destination, trips, std: null, raw: null });
  const flows = [flow("a", "b", 2), flow("c", "b", 3), flow("b", "a", 7)];
  assert.deepEqual([...sums(flows, (f) => f.destination)], [["b", 5], ["a", 7]]);
});
