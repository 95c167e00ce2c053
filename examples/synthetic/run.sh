#!/bin/sh
# A synthetic country, its carriers' homes and a signed Agreement; then the joint study over all of them, in one process.
#
#   examples/synthetic/run.sh [FOLDER]       everything is written there; default build/synthetic
#
# ONETEAM_SUBSCRIBERS (20000) and ONETEAM_ZONES (80) may be set. What is there already is kept: a second run only goes on with the study.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# In a clone, `make` puts the commands into .venv.
command -v oneteam >/dev/null || PATH="$root/.venv/bin:$PATH"
command -v oneteam >/dev/null || { echo "oneteam is not installed: run 'make setup' first" >&2; exit 69; }
out=${1:-build/synthetic}
mkdir -p "$out"
cd "$out"
each=""
together() {
  for process in $each; do wait "$process"; done
  each=""
}

if [ ! -f ready ]; then
  rm -rf country skylark horizon bluewave university agency
  echo "== 1. A country; every carrier reads its own events"
  oneteam synth country --subscribers "${ONETEAM_SUBSCRIBERS:-20000}" --zone-count "${ONETEAM_ZONES:-80}" --days 91 --seed 4
  for carrier in skylark horizon bluewave; do
    oneteam telecom ingest "country/$carrier" --out "$carrier/data" --zones country/zones.csv --json > "$carrier.ingest.json" &
    each="$each $!"
  done
  together

  echo "== 2. Keys, roster, Agreement"
  for carrier in skylark horizon bluewave; do oneteam member init "$carrier" --role contributor --home "$carrier"; done
  oneteam member init university --role helper --home university
  oneteam member init agency --role recipient --home agency
  for carrier in skylark horizon bluewave; do
    printf '\n[datasets.mobility]\npart = "telecom"\npath = "data"\n\n[notices]\nenabled = true\ndataset = "mobility"\n' >> "$carrier/member.toml"
  done
  for member in skylark horizon bluewave university agency; do oneteam member card --home "$member" --out "$member.card.json"; done
  oneteam roster new *.card.json --alliance "Synthetic alliance" --alliance-ko "가상 동맹" --home skylark --out roster.json
  for member in horizon bluewave university agency; do oneteam roster sign roster.json --home "$member"; done
  for member in skylark horizon bluewave university; do oneteam roster keep roster.json --home "$member"; done
  oneteam agreement new --zones country/zones.csv --measure od --measure arrivals --measure travellers --rho 0.1 --rho-total 3 \
    --title "Outbreak outlook" --title-ko "유행 전망" --from 2020-01-01 --until 2099-01-01 --home agency --out terms.toml
  # Trips are told by the week, travellers over two, arrivals over six weeks.
  sed -i -e 's/^max_days = 1$/max_days = 42/' -e 's/^smallest_count = 15$/smallest_count = 10/' terms.toml
  # Only countries that people really travel to: every further one would have its noise, too.
  sed -i '/^\[dimensions.country\]/,/^\]/c\
[dimensions.country]\
codes = ["AU", "CN", "DE", "FR", "GB", "HK", "ID", "IT", "JP", "MY", "PH", "SG", "TH", "TW", "US", "VN"]' terms.toml
  for member in agency skylark horizon bluewave university; do oneteam agreement sign terms.toml --home "$member"; done
  for member in agency skylark horizon bluewave; do oneteam agreement keep terms.json --home "$member"; done
  touch ready
fi

echo "== 3. The study"
oneteam study run "$here/study.toml" --data . --out study
oneteam study verify study
