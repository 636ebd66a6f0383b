#!/bin/bash
# The part of the official image's entry point that compose.yaml uses: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and the
# scripts of /docker-entrypoint-initdb.d, once, when the data folder is empty.
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
data=/var/lib/postgresql/data
if [ ! -s "$data/ready" ]; then
  find "$data" -mindepth 1 -delete # what a start that was killed left
  initdb -D "$data" -U "$POSTGRES_USER" --pwfile=<(printf '%s' "$POSTGRES_PASSWORD") -A scram-sha-256 -E UTF8 --locale=C.UTF-8 >/dev/null
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  export PGPASSWORD=$POSTGRES_PASSWORD
  pg_ctl -D "$data" -w -o '-c listen_addresses=' start >/dev/null
  [ "$POSTGRES_DB" = postgres ] || createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sql; do
    if [ -f "$script" ]; then psql -v ON_ERROR_STOP=1 -q -U "$POSTGRES_USER" -d "$POSTGRES_DB" -f "$script"; fi
  done
  pg_ctl -D "$data" -w -m fast stop >/dev/null
  echo yes >"$data/ready"
fi
exec postgres -D "$data" -c listen_addresses='*'
