"""The text of a data set's DAG file: its docstring is the recipe, its body asks the plug-in for the DAGs.

Airflow shows the file in the tab Code. ``clipquarry new-dag`` writes it; a test compares ``dags/`` with it.
"""

from __future__ import annotations

import itertools
import textwrap

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.ways import can_expire, usual_sources, way_of
from clipquarry.pipeline.family import tasks_of

WIDTH = 110

_FILE = '''"""{docstring}
"""

from clipquarry_airflow.dag_files import data_set_dags

globals().update(data_set_dags("{name}"))
'''


def dag_file(spec: DatasetSpec) -> str:
    """The whole file. Texts of the YAML are in the docstring only, and cannot end it."""
    docstring = "\n\n".join(_paragraphs(spec)).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if docstring.startswith('"'):
        docstring = "\\" + docstring
    return _FILE.format(docstring=docstring, name=spec.name)


def _paragraphs(spec: DatasetSpec) -> list[str]:
    return [
        _wrapped(f"{spec.title}: {spec.description}" if spec.description else f"{spec.title}."),
        _wrapped(_comes_from(spec)),
        "What a run does, phase by phase:",
        *_phases(spec),
        _wrapped(_end(spec)),
        f"This file is written by 'clipquarry new-dag {spec.name}'; the facts stand in {spec.name}.yaml.",
    ]


def _wrapped(text: str) -> str:
    # A control character in a YAML must not reach a program's text.
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return textwrap.fill(" ".join(plain.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def _comes_from(spec: DatasetSpec) -> str:
    annotations = ", ".join(source.id for source in spec.annotation_sources)
    usual = usual_sources(spec)
    items = ", ".join(f"{source.id} ({way_of(source)})" for source in usual)
    offers = ", ".join(source.id for source in spec.item_sources if source not in usual)
    said = [f"Annotations come from {annotations}." if annotations else "", f"Items come from {items}."]
    said.append(f"Whoever has a copy sets up {offers}: it is asked in the order of the YAML." if offers else "")
    return " ".join(filter(None, said))


def _phases(spec: DatasetSpec) -> list[str]:
    """A paragraph for each phase: its name, and a line for each task."""
    return [
        "\n".join([phase or "then", *(f"    {task.name}: {task.title}" for task in tasks)])
        for phase, tasks in itertools.groupby(tasks_of(spec), key=lambda task: task.phase)
    ]


def _end(spec: DatasetSpec) -> str:
    if can_expire(spec):
        return f"At the end a verdict is green or red. The DAG {spec.name}_refresh looks again at what is missing."
    return "At the end a verdict is green or red. Nothing in it expires: another run asks for what is missing."
