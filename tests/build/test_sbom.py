# SPDX-License-Identifier: MIT
"""The bill of materials in a wheel says which liblmdb is compiled into it."""

import hashlib
import json
import re
import sys

import pytest
from project import ROOT

LIBLMDB = ROOT / "lib" / "liblmdb"


@pytest.fixture
def bill(monkeypatch):
    monkeypatch.syspath_prepend(str(LIBLMDB))
    for name in ("sbom", "place", "source_edits", "shim_calls"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from sbom import bill_of_materials

    assert bill_of_materials("1.2.3") == bill_of_materials("1.2.3")
    return json.loads(bill_of_materials("1.2.3"))


def test_it_names_each_liblmdb(bill):
    assert bill["metadata"]["component"]["purl"] == "pkg:pypi/pylmdb@1.2.3"
    pin = json.loads((LIBLMDB / "pin.json").read_text())
    specs = [*pin["engines"].values(), *pin["libraries"].values()]
    versions = {spec["version"] for spec in specs}
    assert {each["version"] for each in bill["components"]} == versions
    references = {each["bom-ref"] for each in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == references


def test_it_has_the_hashes_of_the_files_that_are_compiled(bill):
    files = [file for each in bill["components"] for file in each["components"]]
    assert {file["name"].rpartition("/")[2] for file in files} >= {"mdb.c", "midl.c", "lmdb.h"}
    for file in files:
        digest = hashlib.sha256((ROOT / file["name"]).read_bytes()).hexdigest()
        assert file["hashes"] == [{"alg": "SHA-256", "content": digest}]


def test_it_has_every_patch(bill):
    pin = json.loads((LIBLMDB / "pin.json").read_text())
    engines = [each for each in bill["components"] if each["name"] == "liblmdb"]
    for component, spec in zip(engines, pin["engines"].values(), strict=True):
        properties = {each["name"]: each["value"] for each in component["properties"]}
        assert re.fullmatch("sha256:[0-9a-f]{64}", properties.pop("pylmdb:edits"))
        assert properties == {
            f"pylmdb:patch:{patch['name']}": f"sha256:{patch['sha256']}"
            for patch in spec["patches"]
        }
