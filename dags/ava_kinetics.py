"""AVA-Kinetics: AVA's labels on clips of Kinetics-700, and the merge of the two.

    annotations → select windows → cut them (from Kinetics-700 on disk, or from the net) → images → annotations of the clips
    → detect people → proposals → merge with AVA and link its images → release

with a gate behind each. Started by hand, or when Kinetics-700 and AVA are both ready anew.
"""

from clipquarry.datasets.load import load_all
from clipquarry.settings import Settings
from clipquarry_airflow.dags import build_dags

settings = Settings.from_env()
specs, _ = load_all(settings.dataset_folders)
globals().update(build_dags(specs.values(), ("ava_kinetics_csv",), settings.only))
