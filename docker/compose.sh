#!/usr/bin/env bash
# The deployment of compose.yaml: compose.sh up | down | adopt | logs [SERVICE] | ... (what else docker compose knows). `down` keeps the data.
set -euo pipefail
cd "$(dirname "$0")"
if docker compose version >/dev/null 2>&1; then compose=(docker compose)
elif command -v docker-compose >/dev/null; then compose=(docker-compose)
else echo "Neither 'docker compose' nor docker-compose is here: install Docker's compose plugin."; exit 1; fi
CLIPQUARRY_VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' ../pyproject.toml)
export CLIPQUARRY_VERSION
env=$PWD/.env

secret() { python3 -c 'import secrets; print(secrets.token_urlsafe(24))'; }
make_env() {  # no default passwords: made once, for this machine
  local fernet
  fernet=$(python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())')
  (
    umask 077
    cat >"$env.new" <<EOF
# Made by docker/compose.sh. Settings of the deployment (CLIPQUARRY_...) may be added; see docs/compose.md.
CLIPQUARRY_POSTGRES_PASSWORD=$(secret)
CLIPQUARRY_REDIS_PASSWORD=$(secret)
CLIPQUARRY_SECRET_KEY=$(secret)
CLIPQUARRY_JWT_SECRET=$(secret)
CLIPQUARRY_FERNET_KEY=$fernet
CLIPQUARRY_ADMIN_PASSWORD=$(secret)
EOF
  )
  mv "$env.new" "$env"
}
# NAME VARIABLE IMAGE: the official image where it can be had, else one made of Debian's packages.
service_image() {
  if grep -q "^$2=" "$env" || docker image inspect "$3" >/dev/null 2>&1 || docker pull --quiet "$3" >/dev/null 2>&1; then return; fi
  echo "$3 cannot be pulled: making one from Debian's packages"
  base/make.sh clipquarry-base:bookworm
  docker build --quiet --network host --file services/Dockerfile --target "$1" --tag "clipquarry-$1:$CLIPQUARRY_VERSION" .. >/dev/null
  echo "$2=clipquarry-$1:$CLIPQUARRY_VERSION" >>"$env"
}

make_images() {
  docker info >/dev/null 2>&1 || { echo "No Docker engine answers here: start one, or set DOCKER_HOST."; exit 1; }
  ./images.sh media archives airflow socket-proxy
  service_image postgres CLIPQUARRY_POSTGRES_IMAGE postgres:17-bookworm
  service_image redis CLIPQUARRY_REDIS_IMAGE redis:8-bookworm
}

# Folders besides the data root, and settings that compose.yaml does not name: a second file, made anew each time.
settings() {
  set -- "$(sed -n 's/^CLIPQUARRY_EXTRA_ROOTS=//p' "$env" 2>/dev/null)" "$(sed -n 's/^CLIPQUARRY_DOCKER_MOUNTS=//p' "$env" 2>/dev/null)"
  CLIPQUARRY_EXTRA_ROOTS=${CLIPQUARRY_EXTRA_ROOTS-$1} CLIPQUARRY_DOCKER_MOUNTS=${CLIPQUARRY_DOCKER_MOUNTS-$2} \
    PYTHONPATH=../include:../plugins python3 -B -m clipquarry_airflow.compose_settings "$env" >.compose.settings.json
  compose+=(--project-name clipquarry --file compose.yaml --file .compose.settings.json)
}
started() { "${compose[@]}" exec -T postgres pg_isready --quiet --username=airflow --host=127.0.0.1; }
if [ "${1:-}" = adopt ]; then # what a deployment of before the product was renamed left: docs/upgrading.md
  shift
  adopt=../.venv/bin/clipquarry
  [ -x "$adopt" ] || { echo "Run 'make setup' first: it installs the command that adopts."; exit 2; }
  exec 9>"$env.lock"
  flock --nonblock 9 || { echo "Another process adopts this deployment already: wait for it."; exit 2; }
  [ ! -e "$env" ] || "$adopt" adopt --env "$env"
  settings
  make_images
  "$adopt" adopt --volumes "clipquarry-airflow:$CLIPQUARRY_VERSION"
  "${compose[@]}" up --detach postgres
  for _ in $(seq 60); do started 2>/dev/null && break || sleep 1; done
  "${compose[@]}" run --rm --no-deps worker clipquarry adopt "$@"
  "${compose[@]}" stop postgres
  echo "The deployment is adopted: make compose-up starts it."
  exit
fi
PYTHONPATH=../include python3 -B -m clipquarry.former "$env"
if [ "${1:-}" != up ]; then
  settings
  exec "${compose[@]}" "$@"
fi
[ -s "$env" ] || make_env
settings
make_images
"${compose[@]}" up --detach
port=$(sed -n 's/^CLIPQUARRY_PORT=//p' "$env")
echo "Airflow: http://${port:-127.0.0.1:8080}  user admin, password $(sed -n 's/^CLIPQUARRY_ADMIN_PASSWORD=//p' "$env")  (ready in about two minutes)"
echo "make compose-down stops it and keeps the data (the volume clipquarry_data)."
