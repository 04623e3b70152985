# SPDX-License-Identifier: MIT
"""Write what is compiled into a wheel, liblmdb and others, from ``pin.json``: a bill of materials
(SBOM).

The form is CycloneDX 1.6, which tools that look for vulnerable components read.  It is in
``sboms/pylmdb.cdx.json`` of the installed package's ``.dist-info`` (PEP 770).  For each release of
liblmdb it has the archive that the sources come from, the patches that are applied, and the hashes
of the files that are compiled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from place import HERE, libraries, load_pin
from source_edits import edits_digest

NAME = "pylmdb.cdx.json"
LICENCES = "MIT AND OLDAP-2.8 AND BSD-2-Clause"


def bill_of_materials(version: str, root: Path = HERE) -> str:
    """Return the text for a version of pylmdb.  The same input gives the same text."""
    pin = load_pin(root)
    engines = [_liblmdb(engine, pin, root) for engine in pin["engines"]]
    engines += [_library(name, spec) for name, spec in libraries(pin).items()]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": "pylmdb",
                "name": "pylmdb",
                "version": version,
                "purl": f"pkg:pypi/pylmdb@{version}",
                "licenses": [{"expression": LICENCES}],
            }
        },
        "components": engines,
        "dependencies": [
            {"ref": "pylmdb", "dependsOn": [engine["bom-ref"] for engine in engines]},
            *({"ref": engine["bom-ref"]} for engine in engines),
        ],
    }
    return json.dumps(bill, indent=2) + "\n"


def _library(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the component of a library that is compiled unchanged."""
    archive, reference = spec["archive"], f"{name}-{spec['version']}"
    package, version = archive["requirement"].split("==")
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": spec["version"],
        "purl": f"pkg:generic/{name}@{spec['version']}",
        "licenses": [{"license": {"id": spec["licence"]}}],
        "externalReferences": [
            {
                "type": "source-distribution",
                "url": f"https://pypi.org/project/{package}/{version}/",
                "hashes": [_sha256(archive["sha256"])],
                "comment": f"The sources are in the folder {spec['folder']} of this sdist.",
            }
        ],
        "components": _files(name, reference, spec),
    }


def _files(folder: str, reference: str, spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "bom-ref": f"{reference}/{file}",
            "name": f"lib/liblmdb/{folder}/{file}",
            "hashes": [_sha256(digest)],
        }
        for file, digest in spec["placed"].items()
    ]


def _liblmdb(engine: str, pin: dict[str, Any], root: Path) -> dict[str, Any]:
    """Return the component of one release of liblmdb."""
    spec, archive = pin["engines"][engine], pin["archive"]
    name, version = archive["requirement"].split("==")
    reference = f"liblmdb-{spec['version']}"
    patches = {f"pylmdb:patch:{patch['name']}": patch["sha256"] for patch in spec["patches"]}
    patches["pylmdb:edits"] = edits_digest(root)
    return {
        "type": "library",
        "bom-ref": reference,
        "supplier": {"name": "Symas Corporation"},
        "name": "liblmdb",
        "version": spec["version"],
        "purl": f"pkg:generic/liblmdb@{spec['version']}",
        "licenses": [{"license": {"id": "OLDAP-2.8"}}],
        "externalReferences": [
            {
                "type": "source-distribution",
                "url": f"https://pypi.org/project/{name}/{version}/",
                "hashes": [_sha256(archive["sha256"])],
                "comment": f"The sources are in the folder {spec['folder']} of this sdist.",
            }
        ],
        "pedigree": {
            "notes": "The sources are changed by the patches of the sdist whose sha256 the"
            " properties list, then by edits of pylmdb."
        },
        "properties": [{"name": key, "value": f"sha256:{value}"} for key, value in patches.items()],
        "components": _files(engine, reference, spec),
    }


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}
