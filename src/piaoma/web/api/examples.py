"""One body for each operation that takes one, as the reference page fills it in; tests send every one of them."""

from __future__ import annotations

from piaoma import wire

_MEAL = wire.Line(name="餐费", code="3070401000000000000", rate="0.06", amount="58.00")
_COMPANY = wire.Buyer("武汉某某科技有限公司", "91110108690017781B")

EXAMPLES: dict[str, wire.Sent] = {
    "make_code": wire.NewCode(lines=[_MEAL], days=30),
    "revoke_code": wire.Nothing(),
    "extend_code": wire.Days(60),
    "issue": wire.NewInvoice(buyer=_COMPANY, lines=[_MEAL], remark="订单 20261124-001"),
    "preview": wire.NewInvoice(buyer=_COMPANY, lines=[_MEAL]),
    "send_invoice": wire.NewDelivery("caiwu@example.cn"),
    "retry_delivery": wire.Nothing(),
    "raise_red_form": wire.NewRedForm(reason="returned"),
    "act_on_red_form": wire.RedFormAct("issue"),
    "start_reissue": wire.NewReissue(wire.Buyer("武汉另一家科技有限公司", "91110000600037341L")),
    "act_on_reissue": wire.ReissueAct("retry"),
    "add_goods": wire.NewGoods(name="餐费", code="3070401000000000000", rate="0.06"),
    "change_goods": wire.NewGoods(name="堂食餐费", code="3070401000000000000", rate="0.06"),
    "replay_event": wire.Nothing(),
    "add_webhook": wire.NewWebhook(url="https://erp.example.cn/piaoma", types=["invoice.issued"]),
}


def example_of(name: str) -> wire.Sent:
    """The example of an operation."""
    return EXAMPLES[name]
