"""Shows a broken data-set YAML as an import error in the UI; the other data sets keep their DAGs.

Airflow skips files that do not mention both dag and airflow; this sentence is why it reads this one.
"""

from clipyard.datasets.load import load_all
from clipyard.errors import SpecError
from clipyard.settings import Settings

settings = Settings.from_env()
specs, errors = load_all(settings.dataset_folders)
for name in sorted(settings.only - set(specs)):
    errors.append(SpecError(f"CLIPYARD_ONLY names '{name}', which is no data set; known: {', '.join(sorted(specs))}."))
if errors:
    raise SpecError("\n".join(str(error) for error in errors))
