#!/usr/bin/env bash
# Builds the images: images.sh [media|detect|action|airflow|socket-proxy ...]. Without names: media, airflow and socket-proxy.
#
# CLIPYARD_WHEELS: folders (separated by :) whose wheels of torch and mmcv go into the image detect, TORCH_INDEX and FORCE_CUDA: where
# its PyTorch comes from else, and whether mmcv is compiled for GPUs (docs/containers.md).
# BASE_IMAGE names the base (default: the official python image; where no registry for images can be reached, one made of Debian's
# packages by docker/base/make.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
docker info >/dev/null 2>&1 || { echo "No Docker engine answers here: start one, or set DOCKER_HOST."; exit 1; }
official=python:3.11-slim-bookworm
base=${BASE_IMAGE:-}
if [ -z "$base" ]; then
  if docker image inspect "$official" >/dev/null 2>&1 || docker pull --quiet "$official" >/dev/null 2>&1; then
    base=$official
  else
    echo "$official cannot be pulled: making a base from Debian's packages"
    base=clipyard-base:bookworm
    docker/base/make.sh "$base"
  fi
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ $# -gt 0 ] || set -- media airflow socket-proxy
for name in "$@"; do
  folder=$name
  case $name in
    media | detect | action) folder=media ;;
    airflow | socket-proxy) ;;
    *) echo "There is no image '$name': media, detect, action, airflow or socket-proxy."; exit 2 ;;
  esac
  extra=()
  if [ "$name" = detect ]; then
    IFS=: read -ra folders <<<"${CLIPYARD_WHEELS:-}"
    for place in "${folders[@]}"; do
      find "$place" -maxdepth 1 \( -name 'mmcv-*.whl' -o -name 'torch-*.whl' \) -exec cp --update {} docker/wheels/ \;
    done
    for argument in TORCH_INDEX FORCE_CUDA; do
      if [ -n "${!argument:-}" ]; then extra+=(--build-arg "$argument=${!argument}"); fi
    done
  fi
  echo "building clipyard-$name:$version"
  log=$(mktemp)
  docker build --network host --file "docker/$folder/Dockerfile" --target "$name" --build-arg "BASE_IMAGE=$base" \
    --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" ${extra[@]+"${extra[@]}"} --tag "clipyard-$name:$version" . >"$log" 2>&1 \
    || { tail -30 "$log"; echo "clipyard-$name could not be built; the log is $log"; exit 1; }
  rm -f "$log"
  docker image prune --force --filter "label=org.opencontainers.image.title=clipyard-$name" >/dev/null # the one it replaces
  docker image inspect --format "clipyard-$name:$version {{.Size}} bytes" "clipyard-$name:$version"
done
