"""Everything of Clipquarry that imports Airflow: operators, DAG building blocks, pages, the notifier."""
