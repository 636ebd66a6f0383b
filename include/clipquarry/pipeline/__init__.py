"""The stages of a run, in order. The command line and the Airflow DAGs both call these and add nothing of their own."""
