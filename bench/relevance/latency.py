"""Time of a text request with one caller: the gateway's own, and what understanding the text adds."""

import statistics

from bench.relevance.row import Row
from bench.relevance.subject import Subject
from shortlist import StageTimes, TextInterpretation
from shortlist.requests import RecommendFields
from training.evaluation.search.service import ServiceRequest, ask_service

_CALLS = 300
_CALLS_OF_SMALL = 40
_USUAL: RecommendFields = {"k": 10}
_PLAIN: RecommendFields = {"interpretation": TextInterpretation.OFF, "exact_spelling": True, "k": 10}


async def own_time(subject: Subject) -> list[Row]:
    """Asks one call after the other, in turn as usual and with interpretation and spelling off; medians."""
    usual: list[float] = []
    plain: list[float] = []
    calls = _CALLS_OF_SMALL if subject.small else _CALLS
    for number in range(calls):
        text = f"{subject.texts[number % len(subject.texts)]} {number}"
        # In turn first and second, so that caches and the clock favour neither.
        for times_ms, fields in ((usual, _USUAL), (plain, _PLAIN))[:: 1 if number % 2 else -1]:
            [answer] = await ask_service(subject.client, [ServiceRequest(text, fields)], subject.progress)
            times_ms.append(_own_ms(answer.stage_times))
    own, without = statistics.median(usual), statistics.median(plain)
    return [
        Row("own_ms", "gateway's own time of a text, median ms", own, detail=f"{calls} calls, one caller"),
        Row("added_ms", "of it interpretation and spelling, ms", own - without, most=1.0),
    ]


def _own_ms(times: StageTimes) -> float:
    """Returns the time in the gateway itself, without Triton and without waiting for a batch."""
    return times.total_ms - times.triton_ms - times.queue_ms - times.rank_triton_ms
