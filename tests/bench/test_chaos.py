"""Chaos in short: bad input on the shared gateway, and what counts as a goal."""

import pytest

from bench.chaos.figure import Figure
from bench.chaos.inputs import InputPlan, inputs
from bench.chaos.load import Sent
from bench.chaos.mutations import targets
from shortlist.v1 import recommender_pb2 as pb
from tests.support.running import RunningGateway


@pytest.mark.triton
@pytest.mark.xdist_group("gateway")
def test_wrong_mutated_hurried_and_silent_callers_get_a_status_and_hurt_nobody(gateway: RunningGateway) -> None:
    figures = list(inputs(gateway.address, 7, InputPlan(400, 40, writes=False)))
    assert [
        figure.line()
        for figure in figures
        if not figure.reached and not figure.name.startswith(("slowest", "p99"))  # of a machine that others use
    ] == []
    assert {figure.row for figure in figures} == {12, 13, 20, 25}


@pytest.mark.parametrize(
    ("figure", "reached"),
    [
        (Figure(1, "x", 0.9, least=0.9), True),
        (Figure(1, "x", 0.89, least=0.9), False),
        (Figure(1, "x", 3.0, most=2.0), False),
        (Figure(1, "x", 3.0), True),
    ],
)
def test_goals(figure: Figure, reached: bool) -> None:
    assert figure.reached is reached
    assert ("MISSED" in figure.line()) is not reached


def test_only_the_services_own_degradations_make_an_answer_less_than_full() -> None:
    def sent(*reasons: int, code: str = "OK") -> Sent:
        return Sent(0.0, 0.1, code, reasons, "default")

    assert sent().full and sent(pb.DEGRADATION_REASON_COLD_START).full
    assert not sent(pb.DEGRADATION_REASON_OVERLOADED).full
    assert not sent(code="DEADLINE_EXCEEDED").full


def test_every_method_of_the_public_port_is_attacked() -> None:
    paths = {target.path for target in targets(writes=True)}
    assert paths >= {"/shortlist.v1.RecommenderService/RecommendStream", "/shortlist.v1.EventService/DeleteUser"}
    assert "/shortlist.v1.CatalogService/UpsertItems" not in {target.path for target in targets(writes=False)}
    assert all(target.raw for target in targets(writes=True))
