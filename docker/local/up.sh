#!/usr/bin/env bash
# Airflow on this machine: up.sh AIRFLOW_HOME DATA. SQLite, LocalExecutor, one user; Ctrl-C ends it.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" "$2"
export AIRFLOW_HOME; AIRFLOW_HOME=$(cd "$1" && pwd)
export CLIPYARD_DATA; CLIPYARD_DATA=$(cd "$2" && pwd)
export AIRFLOW__CORE__DAGS_FOLDER=$project/dags AIRFLOW__CORE__PLUGINS_FOLDER=$project/plugins
export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=${AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION:-False}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS:-admin:admin}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=$AIRFLOW_HOME/passwords.json
export AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
# Tasks talk to the API server: both addresses follow the port.
export AIRFLOW__API__BASE_URL=http://localhost:$AIRFLOW__API__PORT
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://localhost:$AIRFLOW__API__PORT/execution/
export AIRFLOW__CORE__PARALLELISM=${AIRFLOW__CORE__PARALLELISM:-8} AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=${AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL:-60}
# Tasks of a scheduler or worker that died are taken up within two minutes, not five to ten.
export AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL=${AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL:-60}
export AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=${AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT:-120}
# A task that is cancelled hears of it at its next heartbeat.
export AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=${AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL:-2}
export YTDLP_NO_PLUGINS=${YTDLP_NO_PLUGINS-1}
airflow db migrate >"$AIRFLOW_HOME/migrate.log" 2>&1 || { echo "Airflow's database could not be set up; see $AIRFLOW_HOME/migrate.log"; exit 1; }
python -m clipyard_airflow.settings_file "$project/airflow_settings.yaml"
if [ ! -s "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE" ]; then
  (umask 077; python -c 'import json, secrets; print(json.dumps({"admin": secrets.token_urlsafe(12)}))' >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")
fi
echo "Airflow: http://localhost:$AIRFLOW__API__PORT  user and password: $(cat "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE")"
echo "data: $CLIPYARD_DATA   (ready in about a minute; Ctrl-C ends it)"
# A component that ends is started again: one bad answer to a worker ends Airflow's scheduler, and 'airflow standalone' would go on without it.
keep() {
  while :; do
    airflow "$@" > >(sed -u "s/^/$1 | /") 2>&1 || true
    echo "clipyard: 'airflow $1' has ended; it is started again"
    sleep 3
  done
}
stop() {
  trap - EXIT INT TERM
  kill_all TERM
  for _ in 1 2 3 4 5; do sleep 1; kill_all 0 || return 0; done
  kill_all KILL || true  # idle workers outlive their scheduler
}
kill_all() {
  local any=1
  for group in "${groups[@]}"; do kill -"$1" -- "-$group" 2>/dev/null && any=0; done
  return $any
}
groups=()
set -m  # each component has a process group of its own
trap stop EXIT INT TERM
for component in api-server scheduler dag-processor triggerer; do
  keep "$component" &
  groups+=($!)
done
wait
