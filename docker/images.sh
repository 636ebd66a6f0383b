#!/usr/bin/env bash
# Builds the images: images.sh [media|archives|detect|action|airflow|socket-proxy ...]. Without names: media, archives, airflow and socket-proxy.
#
# CLIPQUARRY_WHEELS: folders (separated by :) whose wheels of torch and mmcv go into the image detect, TORCH_INDEX and FORCE_CUDA: where
# its PyTorch comes from else, and whether mmcv is compiled for GPUs (docs/containers.md). TAG: the images' tag, else the version.
# BASE_IMAGE names the base (default: the official python image; where no registry for images can be reached, one made of Debian's
# packages by docker/base/make.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHONPATH=include python3 -B -m clipquarry.former
docker info >/dev/null 2>&1 || { echo "No Docker engine answers here: start one, or set DOCKER_HOST."; exit 1; }
official=python:3.11-slim-bookworm
base=${BASE_IMAGE:-}
if [ -z "$base" ]; then
  if docker image inspect "$official" >/dev/null 2>&1 || docker pull --quiet "$official" >/dev/null 2>&1; then
    base=$official
  else
    echo "$official cannot be pulled: making a base from Debian's packages"
    base=clipquarry-base:bookworm
    docker/base/make.sh "$base"
  fi
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
commit=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The runtime 'auto' takes an image of the same code only.
code=$(PYTHONPATH=include:plugins python3 -B -m clipquarry_airflow.code_digest)
[ $# -gt 0 ] || set -- media archives airflow socket-proxy
borrowed=()
trap 'rm -f ${borrowed[@]+"${borrowed[@]}"}' EXIT
for name in "$@"; do
  folder=$name
  case $name in
    media | archives | detect | action) folder=media ;;
    airflow | socket-proxy) ;;
    *) echo "There is no image '$name': media, archives, detect, action, airflow or socket-proxy."; exit 2 ;;
  esac
  extra=()
  if [ "$name" = detect ]; then
    IFS=: read -ra folders <<<"${CLIPQUARRY_WHEELS:-}"
    for place in "${folders[@]}"; do
      find "$place" -maxdepth 1 \( -name 'mmcv-*.whl' -o -name 'torch-*.whl' \) -exec cp --update {} docker/wheels/ \;
    done
    # What docker/wheels/mmcv.sh compiled on this machine, for the image's version of PyTorch. Lent for this build only: it is for CPUs,
    # and a later build for GPUs must not find it.
    torch=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' docker/media/detect.txt)
    for wheel in "${XDG_CACHE_HOME:-$HOME/.cache}/clipquarry/wheels/torch-$torch"*/mmcv-*.whl; do
      lent=docker/wheels/${wheel##*/}
      if [ "${FORCE_CUDA:-0}" != 1 ] && [ -f "$wheel" ] && [ ! -e "$lent" ]; then
        borrowed+=("$lent")
        cp "$wheel" "$lent"
      fi
    done
    for argument in TORCH_INDEX FORCE_CUDA; do
      if [ -n "${!argument:-}" ]; then extra+=(--build-arg "$argument=${!argument}"); fi
    done
  fi
  image=clipquarry-$name:${TAG:-$version}
  echo "building $image"
  before=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
  log=$(mktemp)
  docker build --network host --file "docker/$folder/Dockerfile" --target "$name" --build-arg "BASE_IMAGE=$base" \
    --build-arg "VERSION=$version" --build-arg "COMMIT=$commit" --label "org.clipquarry.code=$code" ${extra[@]+"${extra[@]}"} --tag "$image" . >"$log" 2>&1 \
    || { tail -30 "$log"; echo "$image could not be built; the log is $log"; exit 1; }
  rm -f "$log"
  # The image that this one replaces goes when it has no other name. Nothing else is pruned: somebody else may be building.
  if [ -n "$before" ] && [ "$(docker image inspect --format '{{len .RepoTags}}' "$before" 2>/dev/null)" = 0 ]; then
    docker image rm "$before" >/dev/null 2>&1 || true # a container may still run it
  fi
  docker image inspect --format "$image {{.Size}} bytes" "$image"
done
