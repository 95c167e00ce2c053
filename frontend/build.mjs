// Bundles the web face: app.js (small core), islands that load on demand, app.css, the world map; into the package's static folder.
import { readFile, writeFile, mkdir, rm, readdir } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { fileURLToPath } from "node:url";
import path from "node:path";
import * as esbuild from "esbuild";
import { feature } from "topojson-client";
import { geoCentroid } from "d3-geo";

const here = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(here, "../src/oneteam/web/static/dist");
const arguments_ = new Set(process.argv.slice(2));
const read = async (file) => JSON.parse(await readFile(path.join(here, file), "utf8"));

if (arguments_.has("--tests")) {
  const names = (await readdir(path.join(here, "tests"))).filter((name) => name.endsWith(".test.ts"));
  await rm(path.join(here, "build"), { recursive: true, force: true });
  await esbuild.build({
    absWorkingDir: here, entryPoints: names.map((name) => `tests/${name}`), outdir: "build/tests", outExtension: { ".js": ".mjs" },
    bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning",
  });
  process.exit(0);
}

// Countries of the small atlas; those too small for it get a point from the finer one. Codes are ISO 3166-1 alpha-2, as in arrivals.
async function world() {
  const [coarse, fine, codes] = await Promise.all([
    read("node_modules/world-atlas/countries-110m.json"),
    read("node_modules/world-atlas/countries-50m.json"),
    read("node_modules/i18n-iso-countries/codes.json"),
  ]);
  const alpha2 = new Map(codes.map(([two, , number]) => [String(Number(number)), two]));
  const centres = {};
  for (const shape of feature(fine, fine.objects.countries).features) {
    const two = shape.id === undefined ? undefined : alpha2.get(String(Number(shape.id)));
    if (two) centres[two] = middle(shape).map((value) => Math.round(value * 10) / 10);
  }
  for (const shape of coarse.objects.countries.geometries) {
    shape.id = shape.id === undefined ? "" : (alpha2.get(String(Number(shape.id))) ?? "");
    delete shape.properties;
  }
  delete coarse.objects.land;
  return JSON.stringify({ topology: coarse, centres });
}

// A country's point is the middle of its largest part, so that far islands do not pull it into the sea.
function middle(shape) {
  if (shape.geometry.type !== "MultiPolygon") return geoCentroid(shape);
  const extent = (rings) => {
    const [xs, ys] = [rings[0].map((p) => p[0]), rings[0].map((p) => p[1])];
    return (Math.max(...xs) - Math.min(...xs)) * (Math.max(...ys) - Math.min(...ys));
  };
  const largest = [...shape.geometry.coordinates].sort((a, b) => extent(b) - extent(a))[0];
  return geoCentroid({ type: "Polygon", coordinates: largest });
}

async function licences(metafile) {
  const names = new Set(["world-atlas", ...Object.keys(metafile.inputs).flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? [])]);
  const parts = [];
  for (const name of [...names].sort()) {
    const about = await read(`node_modules/${name}/package.json`);
    const file = (await readdir(path.join(here, "node_modules", name))).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file ? await readFile(path.join(here, "node_modules", name, file), "utf8") : "";
    parts.push(`${name} ${about.version} (${about.license})\n\n${text.trim()}\n`);
  }
  return parts.join("\n----\n\n");
}

const options = {
  absWorkingDir: here,
  entryPoints: ["src/app.ts", "src/app.css"],
  outdir: dist,
  bundle: true,
  format: "esm",
  splitting: true,
  minify: true,
  target: ["es2022", "chrome120", "firefox121", "safari17.4"],
  chunkNames: "chunk-[hash]",
  legalComments: "none",
  charset: "utf8",
  metafile: true,
  logLevel: "warning",
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
if (arguments_.has("--watch")) {
  const context = await esbuild.context({ ...options, minify: false, sourcemap: true, logLevel: "info" });
  await writeFile(path.join(dist, "world.json"), await world());
  await writeFile(path.join(dist, "mark.svg"), await readFile(path.join(here, "src/mark.svg")));
  await context.watch();
} else {
  const result = await esbuild.build(options);
  await writeFile(path.join(dist, "world.json"), await world());
  await writeFile(path.join(dist, "mark.svg"), await readFile(path.join(here, "src/mark.svg")));
  await writeFile(path.join(dist, "licences.txt"), await licences(result.metafile));
  for (const name of (await readdir(dist)).sort()) {
    const content = await readFile(path.join(dist, name));
    console.log(`${name.padEnd(24)} ${(content.length / 1000).toFixed(1).padStart(7)} kB ${(gzipSync(content).length / 1000).toFixed(1).padStart(7)} kB gzip`);
  }
}
