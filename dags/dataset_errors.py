"""Shows a broken data-set YAML, or one of which no DAG can be built, as an import error in the UI; the others keep their DAGs.

Airflow skips files that do not mention both dag and airflow; this sentence is why it reads this one.
"""

from clipquarry.datasets.load import load_all, spec_files
from clipquarry.errors import SpecError
from clipquarry.settings import Settings
from clipquarry_airflow.dags import build_errors

settings = Settings.from_env()
specs, errors = load_all(settings.dataset_folders)
for name in sorted(settings.only - set(specs)):
    errors.append(
        SpecError(f"CLIPQUARRY_ONLY names '{name}', which is no data set; known: {', '.join(sorted(specs))}.")
    )
packaged = {path.stem for path in spec_files()}  # these are tested: trying them would only take time
tried = [specs[name] for name in (settings.only & set(specs) or set(specs)) - packaged]
errors += map(SpecError, build_errors(tried))
if errors:
    raise SpecError("\n".join(str(error) for error in errors))
