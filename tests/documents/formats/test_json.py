"""JSON: under its published schema by a validator that is not ours, and without loss in both directions."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator, FormatChecker

from piaoma.documents.formats import json_view
from piaoma.documents.formats.json_document import json_schema
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused
from tests.documents.formats.examples import invoices, kept
from tests.invoice.test_original import example, file_of

PUBLISHED = Path(__file__).parents[3] / "docs" / "schema" / "invoice.schema.json"
SCHEMA: dict[str, Any] = json.loads(PUBLISHED.read_bytes())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """It is made from the types: a field that is not published fails here, and so does a slip by hand."""
    assert PUBLISHED.read_bytes() == json_schema(), "write json_schema() to docs/schema/invoice.schema.json"
    Draft202012Validator.check_schema(SCHEMA)


def test_every_field_is_described_in_both_languages() -> None:
    """Each property of each object, by the schema alone."""
    fields = 0
    for name, definition in SCHEMA["$defs"].items():
        for field, content in definition.get("properties", {}).items():
            fields += 1
            said = content.get("description", "")
            assert re.search(r"[\u4e00-\u9fff].*。[A-Z].*\.$", said), f"{name}.{field}: {said}"
    assert fields > 60


@settings(max_examples=80, deadline=None)
@given(invoices())
def test_what_is_written_is_valid_and_is_read_again(invoice: IssuedInvoice) -> None:
    """read(write(x)) says what x says, whatever it is; the file fits the schema; twice is the same bytes."""
    data = file_of(invoice)
    written = json_view.write(data)
    VALIDATOR.validate(json.loads(written))
    assert json_view.read(written) == msgspec.structs.replace(read(data), signature=None)
    assert json_view.write(data) == written


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"number": None}, "a number that is not a text"),
        ({"issued_on": "24.11.2026"}, "a date that is none"),
        ({"kind": "receipt"}, "a kind that does not exist"),
        ({"schema": "urn:piaoma:schema:invoice:2"}, "another version"),
        ({"totals": {"amount": 54.72, "tax": "3.28", "inclusive": "58.00", "words": ""}}, "money as a float"),
        ({"totals": {"amount": "54,72", "tax": "3.28", "inclusive": "58.00", "words": ""}}, "a decimal comma"),
        ({"lines": [{}]}, "a row without fields"),
    ],
)
def test_schema_and_reader_refuse_the_same(change: dict[str, object], what: str) -> None:
    """The controls: a validator that lets everything pass would show nothing."""
    document = json.loads(json_view.write(file_of(example()))) | change
    assert list(VALIDATOR.iter_errors(document)), what
    with pytest.raises(Refused) as caught:
        json_view.read(json.dumps(document).encode())
    assert caught.value.refusals[0].cause == "JSON-UNREADABLE"


NESTED = json_view.write(file_of(example())).replace(b'"mark"', b'"more": ' + b"[" * 100_000 + b', "mark"')


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b"x" * (17 * 1024 * 1024), b"[" * 100_000, NESTED])
def test_what_is_no_json_of_ours_is_refused(data: bytes) -> None:
    """Never an exception of another kind, whatever comes."""
    with pytest.raises(Refused) as caught:
        json_view.read(data)
    assert caught.value.refusals[0].cause == "JSON-UNREADABLE"


def test_a_moment_before_all_calendars_is_refused() -> None:
    """It fits the schema, and is none in Shanghai."""
    document = json.loads(json_view.write(file_of(example()))) | {"requested_at": "0001-01-01T00:00:00+23:59"}
    with pytest.raises(Refused) as caught:
        json_view.read(json.dumps(document).encode())
    assert caught.value.refusals[0].cause == "JSON-UNREADABLE"


def test_it_names_its_original_and_the_signer() -> None:
    """The digest is that of the file's bytes, the fingerprint that of the certificate."""
    data = file_of(example())
    document = json.loads(json_view.write(data))
    assert document["original"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert document["signature"]["certificate_sha256"] == hashlib.sha256(b"certificate").hexdigest()
    assert json.loads(json_view.write(data + b"\n"))["original"] != document["original"]


def test_a_sample_says_so() -> None:
    """In a field for programs and in words; a real number has neither."""
    data = file_of(kept()["dinner"])
    sample, real = (json.loads(json_view.write(one)) for one in (data, data.replace(b"2699000", b"2642000")))
    assert (sample["sandbox"], sample["mark"]) == (True, "测试样票 无效")
    assert (real["sandbox"], real["mark"]) == (False, "")
