"""Units (单位) as codes of UN/ECE Recommendation 20 and, with X in front, of 21.

Only units whose meaning is the same are here. The text of any other unit is kept beside the code C62 (one), as an
attribute of the item, so nothing that the original says is lost and nothing is claimed of it.
"""

from __future__ import annotations

ONE = "C62"
LUMP_SUM = "LS"  # of a row that states no quantity

_CODES = {
    "H87": "件 只 台 枚 根 支 把 条 块 piece pcs",
    "SET": "套",
    "PR": "双 对",
    "DZN": "打",
    "GRM": "克 g",
    "KGM": "千克 公斤 kg",
    "TNE": "吨 t",
    "MLT": "毫升 ml",
    "LTR": "升 l",
    "MMT": "毫米 mm",
    "CMT": "厘米 cm",
    "MTR": "米 m",
    "KMT": "千米 公里 km",
    "MTK": "平方米 平米 ㎡ m²",
    "MTQ": "立方米 立方 m³",
    "SEC": "秒",
    "MIN": "分钟",
    "HUR": "小时",
    "DAY": "天 日",
    "WEE": "周",
    "MON": "月 个月",
    "ANN": "年",
    "KWH": "千瓦时 kwh",
    "IE": "人",
    "XBG": "袋",
    "XBO": "瓶",
    "XBX": "盒",
    "XCS": "箱",
    "XPK": "包",
    "XRO": "卷",
    "C62": "个",
}
_BY_UNIT = {unit: code for code, units in _CODES.items() for unit in units.split()}


def unit_code(unit: str) -> str | None:
    """The code of a unit as Chinese invoices write it, or None when none means the same."""
    return _BY_UNIT.get(unit.strip().lower())
