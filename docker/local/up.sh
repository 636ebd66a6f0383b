#!/usr/bin/env bash
# Airflow on this machine: up.sh AIRFLOW_HOME DATA. SQLite, LocalExecutor, one user; Ctrl-C ends it. This sets the environment; the rest is
# plugins/clipquarry_airflow/local.py.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" "$2"
export AIRFLOW_HOME; AIRFLOW_HOME=$(cd "$1" && pwd)
export CLIPQUARRY_DATA; CLIPQUARRY_DATA=$(cd "$2" && pwd)
export AIRFLOW__CORE__DAGS_FOLDER=$project/dags AIRFLOW__CORE__PLUGINS_FOLDER=$project/plugins
export AIRFLOW__CORE__LOAD_EXAMPLES=False AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=${AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION:-False}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS=${AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS:-admin:admin}
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=$AIRFLOW_HOME/passwords.json
# Only this machine, unless somebody asks for more.
export AIRFLOW__API__HOST=${AIRFLOW__API__HOST:-127.0.0.1} AIRFLOW__API__PORT=${AIRFLOW__API__PORT:-8080}
# Tasks talk to the API server: both addresses follow the port.
case $AIRFLOW__API__HOST in 127.0.0.1 | 0.0.0.0 | :: | ::1) name=localhost ;; *) name=$AIRFLOW__API__HOST ;; esac
export AIRFLOW__API__BASE_URL=http://$name:$AIRFLOW__API__PORT
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://$name:$AIRFLOW__API__PORT/execution/
export AIRFLOW__CORE__PARALLELISM=${AIRFLOW__CORE__PARALLELISM:-8} AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL=${AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL:-300}
# Tasks of a scheduler or worker that died are taken up within two minutes, not five to ten.
export AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL=${AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL:-60}
export AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT=${AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT:-120}
# A task that is cancelled hears of it at its next heartbeat.
export AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=${AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL:-2}
export YTDLP_NO_PLUGINS=${YTDLP_NO_PLUGINS-1}
python -m clipquarry.former "$CLIPQUARRY_DATA"
exec python -m clipquarry_airflow.local "$project"
