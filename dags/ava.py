"""AVA: person boxes with actions, one second apart, in the 15th to 30th minute of films.

    annotations → videos from the mirror → excerpts at 30 frames a second, and their images → proposals → release

with a gate behind each. Own data of this kind is one YAML more; the parts are in ``clipquarry.pipeline.graph``.
"""

from clipquarry.datasets.load import load_all
from clipquarry.settings import Settings
from clipquarry_airflow.dags import build_dags

settings = Settings.from_env()
specs, _ = load_all(settings.dataset_folders)
globals().update(build_dags(specs.values(), ("ava_csv",), settings.only))
