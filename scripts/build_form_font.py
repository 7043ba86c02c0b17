"""Make src/piaoma/documents/fonts/form.ttf: the words of the form in a Kai face, as the real form has them.

Usage: python scripts/build_form_font.py LXGWWenKai-Regular.ttf   (Debian: fonts-lxgw-wenkai 1.250; OFL-1.1)

Its licence lets a derived font be given away under the same licence and another name: OFL.txt beside it. The words of
the form never change, so this font goes into a PDF whole, compressed once; only what an invoice says costs time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

DOCUMENTS = Path(__file__).parents[1] / "src" / "piaoma" / "documents"
NAME = "Piaoma Form"
VERSION = "Version 1.0; from LXGW WenKai 1.250"
WORDS = (
    "电子发票（增值税专用发票）（普通发票）发票号码：开票日期：购买方信息销售方信息名称：统一社会信用代码/纳税人识别号："
    "项目名称规格型号单位数量单价金额税率/征收率税额合计价税合计（大写）（小写）备注（续）开票人：共页第备注续下页"
    "沙盒样票·测试无效本票为沙盒测试样票，不是发票，不得报销入账。预览红字"
    "0123456789 ABCDEFGHIJKLMNOPQRSTUVWXYZ,."
)


def main(source: str) -> None:
    """Subset, name and write it; the same bytes each time."""
    font = TTFont(source, recalcTimestamp=False)
    copyrights = str(font["name"].getDebugName(0)).replace("\r\n", "; ")
    options = subset.Options(layout_features=[], hinting=False, name_IDs=[], notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG", "meta", "gasp"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes={ord(sign) for sign in WORDS})
    subsetter.subset(font)
    names = {0: copyrights, 1: NAME, 2: "Regular", 3: f"{NAME} 1.0", 4: NAME, 5: VERSION, 6: NAME.replace(" ", ""),
             13: "SIL Open Font License, Version 1.1", 14: "https://openfontlicense.org"}  # fmt: skip
    for identifier, text in names.items():
        font["name"].setName(text, identifier, 3, 1, 0x409)
    missing = {sign for sign in WORDS if ord(sign) not in font.getBestCmap()}
    if missing:
        raise SystemExit(f"the font lacks {''.join(sorted(missing))}")
    target = DOCUMENTS / "fonts" / "form.ttf"
    target.parent.mkdir(exist_ok=True)
    font.save(target)
    print(f"{target}: {target.stat().st_size} bytes, {len(font.getGlyphOrder())} glyphs")


if __name__ == "__main__":
    main(sys.argv[1])
