"""Everything of Clipyard that imports Airflow: operators, DAG building blocks, pages, the notifier."""
