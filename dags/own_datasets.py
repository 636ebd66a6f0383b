"""The DAGs of all data sets that users bring: every YAML in the folders that CLIPQUARRY_DATASETS names.

A data set for which ``clipquarry new-dag`` has written a file into this folder is left to that file. A YAML that is
broken hides its own DAGs alone; ``dataset_errors.py`` shows what is wrong with it.
"""

from clipquarry_airflow.dag_files import own_dags

globals().update(own_dags(__file__))
