#!/bin/sh
# Korea, 17 sido: from the real case file to a page for those who decide. Usage: examples/korea/run.sh [DATA] [OUT]
# DATA holds korea/cases_daily.csv and its neighbours; ONETEAM_DATA or ../shared/data without. Two processes, a few minutes.
# Settings: ONETEAM_WEEKS past dates that are forecast and scored (12), ONETEAM_MEMBERS simulations of the scenario (200).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# In a clone, `make` puts the commands into .venv.
command -v oneteam >/dev/null || PATH="$root/.venv/bin:$PATH"
command -v oneteam >/dev/null || { echo "oneteam is not installed: run 'make setup' first" >&2; exit 69; }
data=${1:-${ONETEAM_DATA:-$root/../shared/data}}/korea
out=${2:-build/korea}
weeks=${ONETEAM_WEEKS:-12}
members=${ONETEAM_MEMBERS:-200}
[ -f "$data/cases_daily.csv" ] || { echo "$data/cases_daily.csv: not found; give the data folder as first argument, or set ONETEAM_DATA" >&2; exit 2; }
mkdir -p "$out"

echo "1/8 case file -> weekly target data"
oneteam epidemic convert "$data/cases_daily.csv" --from daily-csv --week-end SAT \
  --population "$data/zones250.csv" --population-code sido --aggregate KR --out "$out/data"
last=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["last_week"])' "$out/data/report.json")
first=$(python3 -c 'import sys,datetime as d; print(d.date.fromisoformat(sys.argv[1]) - d.timedelta(weeks=int(sys.argv[2])))' "$last" "$weeks")

echo "2/8 past reference dates, $first to $last: as if each were today"
oneteam epidemic backtest -t "$out/data/time-series.parquet" -l "$out/data/locations.csv" --mobility "$data/movement_weekly.csv" \
  --reference-dates "$first:$last" --horizons 1-4 --out "$out/forecasts"

echo "3/8 how good they were"
oneteam epidemic score --forecasts "$out/forecasts/model-output" --truth "$out/data/time-series.parquet" \
  --baseline "$out/forecasts/model-output/oneteam-baseline" --locations "$out/data/locations.csv" --threshold 100 \
  --out "$out/scores" --json > "$out/scores.log"

echo "4/8 the forecast of $last"
oneteam epidemic forecast -t "$out/data/time-series.parquet" -l "$out/data/locations.csv" --mobility "$data/movement_weekly.csv" \
  --reference-date "$last" --track "$weeks" --horizons 1-4 --out "$out/forecasts" --json > "$out/forecast.json"

echo "5/8 Rt and risk by place"
oneteam epidemic rt "$data/cases_daily.csv" --population "$data/zones250.csv" --population-code sido \
  --ages "$data/cases_by_age_daily.csv" --out "$out/situation" --json > "$out/rt.log"

echo "6/8 imported cases"
oneteam epidemic importation --cases "$data/world_cumulative_cases_daily.parquet" --flights "$data/country_flights_daily_2020_01_04.csv" \
  --observed "$data/imported_cases_daily.csv" --out "$out/importation" --json > "$out/importation.log"

echo "7/8 a measure: working from home in the capital area"
python3 "$here/scenario.py" "$data" "$out" --members "$members"
oneteam epidemic scenario "$out/scenario.toml" --out "$out/scenario"
for variant in "$out"/variant-*.toml; do
  name=$(basename "$variant" .toml)
  oneteam epidemic scenario "$variant" --out "$out/scenario-${name#variant-}" --no-plots --quiet --json > /dev/null
done

echo "8/8 the page"
oneteam epidemic report "$out" --title "COVID-19 outlook, Korea|코로나19 전망" --threshold 100 --horizon 2 --reference-date "$last" --aggregate KR \
  --geometry "$data/provinces_2018_topo.json" --districts "$data/municipalities_2018_topo.json"
