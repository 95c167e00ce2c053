#!/bin/sh
# Three carriers, a university, a health agency and a hub, each a process of its own on this machine: from key generation to a joint
# origin-destination Release that none of them could have made alone, and that nobody's rows left home for.
#
#   examples/alliance/run.sh [FOLDER]       everything is written there; default build/alliance
#
# ONETEAM_SUBSCRIBERS (20000) and ONETEAM_PORT (8440) may be set.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# In a clone, `make` puts the commands into .venv.
command -v oneteam >/dev/null || PATH="$root/.venv/bin:$PATH"
command -v oneteam >/dev/null || { echo "oneteam is not installed: run 'make setup' first" >&2; exit 69; }
out=${1:-build/alliance}
port=${ONETEAM_PORT:-8440}
url=https://127.0.0.1:$port
rm -rf "$out"
mkdir -p "$out"
cd "$out"

running=""
stop() {
  for process in $running; do kill "$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Members work at the same time, as they would on machines of their own; all must succeed.
each=""
together() {
  for process in $each; do wait "$process"; done
  each=""
}

# Wait until a log says so.
until_said() {
  tries=0
  until grep -q "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ]; then cat "$1" >&2; exit 1; fi
    sleep 0.1
  done
}

echo "== 1. Every carrier reads its own events, on its own machine"
oneteam synth country --subscribers "${ONETEAM_SUBSCRIBERS:-20000}" --days 1 --zone-count 60 --no-roaming --no-outbreak
for carrier in skylark horizon bluewave; do
  oneteam telecom ingest "country/$carrier" --out "$carrier/data" --zones country/zones.csv --json > "$carrier.ingest.json" &
  each="$each $!"
done
together

echo "== 2. Everyone makes keys; the private ones stay at home"
for carrier in skylark horizon bluewave; do oneteam member init "$carrier" --role contributor --hub "$url" --home "$carrier" & each="$each $!"; done
oneteam member init university --role helper --hub "$url" --home university & each="$each $!"
oneteam member init agency --role recipient --hub "$url" --home agency & each="$each $!"
oneteam hub certificate 127.0.0.1 localhost --out tls & each="$each $!"
together
for carrier in skylark horizon bluewave; do
  printf '\n[datasets.mobility]\npart = "telecom"\npath = "data"\n' >> "$carrier/member.toml"
done
for member in skylark horizon bluewave university agency; do
  cp tls/ca.pem "$member/ca.pem"
  sed -i 's/^# hub_ca/hub_ca/' "$member/member.toml"
  oneteam member card --home "$member" --out "$member.card.json" &
  each="$each $!"
done
together

echo "== 3. The roster pins everyone's keys; everyone compares the fingerprints and signs"
oneteam roster new *.card.json --alliance "Example alliance" --alliance-ko "예시 동맹" --home skylark --out roster.json
for member in horizon bluewave university agency; do oneteam roster sign roster.json --home "$member"; done
for member in skylark horizon bluewave university; do oneteam roster keep roster.json --home "$member" & each="$each $!"; done
together

echo "== 4. One agreement says what may be learned, for what, at which cost; everyone reads and signs it"
oneteam agreement new --zones country/zones.csv --measure od --title "Joint mobility" --title-ko "공동 이동량" \
  --from 2020-01-01 --until 2099-01-01 --home agency --out od.toml
oneteam agreement show od.toml --home agency
for member in agency skylark horizon bluewave university; do oneteam agreement sign od.toml --home "$member"; done
for member in agency skylark horizon bluewave; do oneteam agreement keep od.json --home "$member" & each="$each $!"; done
together

echo "== 5. A hub that can read nothing, and a node at each member"
oneteam hub serve --roster roster.json --url "$url" --certificate tls/server.pem --key tls/server.key --mailboxes hub.db > hub.log 2>&1 &
running="$running $!"
until_said hub.log listening
for member in skylark horizon bluewave university; do
  oneteam node serve --home "$member" > "$member/node.log" 2>&1 &
  running="$running $!"
done
for member in skylark horizon bluewave university; do until_said "$member/node.log" ready; done

echo "== 6. The agency sees what there is, checks its question without asking anybody, and asks"
oneteam catalog --home agency
oneteam query check "$here/query.toml" --home agency
oneteam query run "$here/query.toml" --home agency --out release.json --table od.csv
oneteam query show release.json --home agency --limit 0

echo "== 7. The same question again costs nothing; everyone can prove what was decided"
oneteam query run "$here/query.toml" --home agency --limit 0
oneteam node status --home skylark
oneteam audit show --home skylark --count 5
oneteam audit verify --home skylark
echo "Release: $out/release.json, table: $out/od.csv"
