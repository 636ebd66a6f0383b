"""A plug-in that nobody allowed: it leaves a file when it is loaded."""

import os
from pathlib import Path

Path(os.environ["CLIPQUARRY_TEST_LOADED"]).write_text("loaded")
