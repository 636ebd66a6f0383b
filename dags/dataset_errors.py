"""Shows what is wrong with users' data sets as an import error in the UI; the others keep their DAGs.

That is a YAML that cannot be loaded, one of which no DAG can be built, and an unknown name in CLIPQUARRY_ONLY. Airflow
skips files that do not mention both dag and airflow; this sentence is why it reads this one.
"""

from clipquarry.errors import SpecError
from clipquarry_airflow.dag_files import own_errors

if errors := own_errors():
    raise SpecError("\n".join(errors))
