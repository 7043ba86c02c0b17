"""Names of goods that say too little (笼统品名): a receiver may refuse them, so the person is asked once.

Source: the tax bureau asks for names as detailed as the deal (wuhan-system.md S24); which words are too vague is ours.
"""

from __future__ import annotations

import re
import unicodedata

_WORDS = (
    "商品|货物|货品|产品|物品|用品|办公用品|劳保用品|日用品|日用百货|百货|食品|礼品|材料|原材料|配件|耗材|设备|杂项|杂费|费用|服务|服务费|其他|其它|"
    "其他服务|技术服务费|劳务|劳务费|款|货款|样品|项目|综合服务"
)
_VAGUE = re.compile(rf"(?:{_WORDS})(?:等|类)?(?:一批|若干|一宗|一组)?|.{{0,12}}(?:一批|若干|一宗)")
_LIST = re.compile(r".*(?:详见|见)(?:销货|附|后附)?(?:清单|明细|附件).*")


def is_vague(name: str) -> bool:
    """Whether a name leaves open what was sold: 商品, 办公用品一批, 详见清单."""
    folded = re.sub(r"[\s()（）]", "", unicodedata.normalize("NFKC", name))
    return _VAGUE.fullmatch(folded) is not None or _LIST.fullmatch(folded) is not None
