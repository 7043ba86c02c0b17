"""Files in forms (上传), read within bounds."""

from __future__ import annotations

from starlette.datastructures import FormData, UploadFile

from piaoma.desk.verify import File
from piaoma.documents.check import FILE_BYTES_MAX
from piaoma.invoice.refusal import refuse

FIELDS_MAX = 60  # of a form, files among them
NAME_MAX = 200  # characters of a file's name that are kept


async def read_files(form: FormData, files_max: int, field: str = "photo") -> list[File]:
    """The files of a form, whatever its fields are called; a field without a file is skipped.

    Raises ``Refused`` FILE-TOO-MANY.
    """
    sent = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    chosen = [one for one in sent if one.filename or one.size]
    if len(chosen) > files_max:
        raise refuse("FILE-TOO-MANY", field, have=len(chosen), max=files_max)
    return [File((one.filename or "")[-NAME_MAX:], await one.read(FILE_BYTES_MAX + 1)) for one in chosen]
