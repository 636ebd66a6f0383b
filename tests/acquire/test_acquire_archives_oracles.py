"""The reference's own cases: parts that are merged, zips that are flattened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.extract import Placement, extract
from clipquarry.acquire.archives.reader import Reading
from clipquarry.acquire.archives.volumes import in_order
from clipquarry.files import sha256_of
from clipquarry.settings import DataRoot
from pydantic import SecretStr
