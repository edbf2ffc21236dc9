"""Writes a table as a workbook with one sheet, in which texts stay texts.

Office Open XML, ECMA-376: a sheet, its workbook and a style. A spreadsheet takes an inline string
for text, whatever it begins with, so no id loses a zero and none is run as a formula.
"""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from edge.errors import ConfigError
from edge.text.progress import OnCount

# Limits of Excel: rows of a sheet, and characters of a cell.
MOST_ROWS: Final = 1_048_576
LONGEST_TEXT: Final = 32_767
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PARTS: Final = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
    'package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="cells" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
    f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" '
    f'Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    # Format 49 is text: a cell that a person edits stays text too.
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders>'
    '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf xfId="0"/>'
    '<xf numFmtId="49" applyNumberFormat="1" xfId="0"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    "</styleSheet>",
}
# The time of every part: the earliest of ZIP, so that equal tables give equal bytes.
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
# Characters that XML 1.0 cannot hold, and a text that looks like the escape of one (ST_Xstring).
_ESCAPED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\r\ufffe\uffff]|_(?=x[0-9a-fA-F]{4}_)")


def to_xlsx(columns: Mapping[str, Sequence[Any]], on_count: OnCount = lambda *_: None) -> bytes:
    """The workbook of a table: a heading, then a row for each cell.

    Args:
        columns: lists of equal length. Text, numbers, bools, times (written as RFC 3339) and None.
        on_count: called with the rows that are done, and all.

    Raises:
        ConfigError: more rows than a sheet has, or a longer text than a cell takes.
    """
    count = max((len(column) for column in columns.values()), default=0)
    if count >= MOST_ROWS:
        raise ConfigError(
            f"{count:,} cells, a sheet has {MOST_ROWS:,} rows; export them with --csv or --parquet."
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in _PARTS.items():
            archive.writestr(_part(name), _HEAD + text)
        with archive.open(_part("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as sheet:
            sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for number, row in enumerate(_rows(columns)):
                sheet.write(f"<row>{''.join(map(_cell, row))}</row>\n".encode())
                on_count(number, count)
            sheet.write(b"</sheetData></worksheet>")
    return content.getvalue()


def _part(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _MOMENT)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _rows(columns: Mapping[str, Sequence[Any]]) -> Iterator[Sequence[Any]]:
    yield list(columns)
    yield from zip(*columns.values(), strict=True)


def _cell(value: Any) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    if len(text) > LONGEST_TEXT:
        raise ConfigError(
            f"a text has {len(text):,} characters, a cell of a sheet takes {LONGEST_TEXT:,}; "
            "export with --csv or --parquet."
        )
    plain = html.escape(_ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text), quote=False)
    return f'<c t="inlineStr" s="1"><is><t xml:space="preserve">{plain}</t></is></c>'
