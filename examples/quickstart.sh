#!/bin/sh
# The README's quick start, as a script: a synthetic country, one carrier's raw files, its measures, a table and two maps.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
# In a clone, `make` puts the commands into .venv.
command -v oneteam >/dev/null || PATH="$root/.venv/bin:$PATH"
command -v oneteam >/dev/null || { echo "oneteam is not installed: run 'make setup' first" >&2; exit 69; }
out=${1:-build/quickstart}
rm -rf "$out"

oneteam synth "$out/country" --subscribers 100000 --days 7
oneteam telecom ingest "$out/country/skylark" --out "$out/skylark" \
  --zones "$out/country/zones.csv" --shapes "$out/country/zones.geojson" --zone-version synthetic-2020
oneteam telecom measure home presence od arrivals --data "$out/skylark" --out "$out/results"
oneteam telecom measure trips --data "$out/skylark" --rows 8
oneteam telecom plot "$out/results/presence.parquet" --data "$out/skylark" --hour 12 --out "$out/noon.png"
oneteam telecom plot "$out/results/od.parquet" --data "$out/skylark" --out "$out/trips.svg"
echo "Maps: $out/noon.png and $out/trips.svg"
