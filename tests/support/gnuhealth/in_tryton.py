"""Runs inside GNU Health's own virtual environment: does what a person does in Tryton's client.

    python in_tryton.py CONFIG DATABASE < steps.json > answers.json

Each step is a list: `["import", FILE]`, `["patient", NAME, PUID, PHONE]` or
`["assign", RESULT, PUID]`. Its answer has the results that it made or changed, or Tryton's error.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from trytond.config import config

LAB = "gnuhealth.lab"


def main(configuration: str, database: str, *, steps: TextIO, answers: TextIO) -> None:
    config.update_etc(configuration)
    from trytond.pool import Pool
    from trytond.transaction import Transaction

    Pool.start()
    pool = Pool(database)
    pool.init()
    found: list[dict[str, Any]] = []
    for verb, *arguments in json.load(steps):
        with Transaction().start(database, 1) as transaction:
            try:
                found.append({"results": STEPS[verb](pool, *arguments), "error": None})
                transaction.commit()
            # Whatever refuses is what the test wants to know.
            except Exception as error:  # noqa: BLE001
                transaction.rollback()
                found.append({"results": [], "error": f"{type(error).__name__}: {error}"})
    json.dump(found, answers)


def import_file(pool: Any, file: str) -> list[dict[str, Any]]:
    """The import dialog with its own settings: UTF-8, comma, no format of the user's language.

    As tryton/gui/window/win_import.py in 7.0: columns are found by the first line, each must be a
    field that a person may write, and the values go to the server as text.
    """
    with Path(file).open(encoding="utf-8") as lines:
        columns, *rows = [row for row in csv.reader(lines) if row]
    for column in columns:
        require_writable(pool, column)
    lab = pool.get(LAB)
    before = {one.id for one in lab.search([])}
    lab.import_data(columns, rows)
    return [as_dict(one) for one in lab.search([], order=[("id", "ASC")]) if one.id not in before]


def require_writable(pool: Any, column: str) -> None:
    model = pool.get(LAB)
    for name in column.split("/"):
        field = model.fields_get().get(name)
        if field is None or field.get("readonly"):
            raise ValueError(f'Unknown column header "{column}"')
        if field["type"] == "one2many":
            model = pool.get(field["relation"])


def as_dict(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "source_type": one.source_type,
        "sample": one.other_source,
        "patient": one.patient.puid if one.patient else None,
        "test": one.test.code,
        "analysed": one.date_analysis.isoformat(),
        "remark": one.results,
        "criteria": [
            {
                "name": line.name,
                "code": line.code,
                "value": line.result,
                "text": line.result_text,
                "unit": line.units.name if line.units else None,
            }
            for line in one.critearea
        ],
    }


def make_patient(pool: Any, name: str, puid: str, phone: str) -> list[dict[str, Any]]:
    person_fields = {
        "name": name,
        "ref": puid,
        "is_person": True,
        "is_patient": True,
        "gender": "f",
        # GNU Health asks for both keys without looking whether they are there.
        "fed_country": None,
        "federation_account": None,
        "contact_mechanisms": [("create", [{"type": "phone", "value": phone}])],
    }
    (person,) = pool.get("party.party").create([person_fields])
    pool.get("gnuhealth.patient").create([{"party": person.id}])
    return []


def assign(pool: Any, result: str, puid: str) -> list[dict[str, Any]]:
    (one,) = pool.get(LAB).search([("name", "=", result)])
    (patient,) = pool.get("gnuhealth.patient").search([("puid", "=", puid)])
    pool.get(LAB).write([one], {"source_type": "patient", "patient": patient.id})
    return [as_dict(pool.get(LAB)(one.id))]


STEPS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "import": import_file,
    "patient": make_patient,
    "assign": assign,
}


if __name__ == "__main__":
    # Tryton and its modules print to stdout.
    answers, sys.stdout = sys.stdout, sys.stderr
    main(*sys.argv[1:], steps=sys.stdin, answers=answers)
