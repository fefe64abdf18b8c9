"""Long texts are read in worker threads: the event loop serves the other callers meanwhile."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from core.retrieval.lexical import LexicalSource
from core.text.language import EncoderLanguages, LanguageDetector
from domain.recommendation import Source

pytestmark = pytest.mark.xdist_group("workshop")

TEXTS = {
    "english": "a word3 film about word21 without word5 and wrod7 from the nineties, ",
    "chinese": "\u4e00\u90e8\u5173\u4e8e\u5927\u6d77\u7684\u5b89\u9759\u7535\u5f71\u4e0d\u8981\u6050\u6016\u7247",
    "french": "un film tranquille sur la mer et les p\u00eacheurs de la c\u00f4te, ",
    "one word": "word3" * 400,
}
LONG = {name: (text * 100).encode()[:2_048].decode(errors="ignore") for name, text in TEXTS.items()}


class ByThread:
    """Passes calls on to another object, and notes the threads that some of its methods ran in."""

    def __init__(self, inner, *names):
        self.inner, self.names, self.threads = inner, names, set()

    def __len__(self):
        return len(self.inner)

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name not in self.names:
            return found

        def noted(*args, **kwargs):
            self.threads.add(threading.get_ident())
            return found(*args, **kwargs)

        return noted


async def busiest_ms(work):
    """The most processor time that the loop spent before it came round again, while `work` ran."""
    task, most = asyncio.ensure_future(work), 0.0
    while not task.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        most = max(most, time.thread_time() - before)
    await task
    return 1_000 * most


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
async def test_long_texts_are_interpreted_and_parsed_by_workers(served, text):
    languages = EncoderLanguages(("en",), LanguageDetector())
    tokenizer = ByThread(served.release.encoder.tokenizer, "tokenize")
    encoder = replace(served.release.encoder, tokenizer=tokenizer)
    interpreter = ByThread(served.release.interpreter, "interpret")
    index = ByThread(served.release.sources.get(Source.LEXICAL.value).index, "parse")
    kept = tuple(source for source in served.release.sources if source.name != Source.LEXICAL)
    sources = replace(served.release.sources, sources=(LexicalSource(index), *kept))
    served.release = replace(
        served.release, interpreter=interpreter, sources=sources, languages=languages, encoder=encoder
    )
    await served.ask(text=text)
    assert interpreter.threads
    assert tokenizer.threads
    assert index.threads
    assert threading.get_ident() not in interpreter.threads | index.threads | tokenizer.threads


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
async def test_two_kibibytes_hold_the_loop_for_less_than_two_milliseconds(served, text):
    served.triton.away = {"encoder"}  # this Triton computes on the loop
    await served.ask(text=text)
    assert min([await busiest_ms(served.ask(text=text)) for _ in range(8)]) < 2
