"""Gets the texts of planned versions from samplers and translators, and writes them."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sampling import Sampler, SamplingError
from tqdm import tqdm
from translate import TranslationError, Translator
from version_plans import Plan, Work
from versions import REAL, in_nfc
from writing import writing

TEXTS = "texts.partial.jsonl"
"""Beside the versions."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class TextFile:
    """Texts as they come, by the ids of their versions: what an interrupted run has sampled and translated is not lost
    before the excerpts, which wait for all of theirs, are written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: dict[str, str | None] = {}
        good = 0
        for line in path.open("rb") if path.exists() else ():
            if not line.endswith(b"\n"):
                break
            id_, text = json.loads(line)
            self.found[id_] = text
            good += len(line)
        if path.exists():
            os.truncate(path, good)

    def add(self, id_: str, text: str | None) -> None:
        """None: it was refused."""
        with writing(self._path), self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps([id_, text]) + "\n")

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


class Maker:
    """Carries plans out, batch by batch, and writes the versions of each excerpt, in order, when all are there."""

    def __init__(self, samplers: Sequence[Sampler], translators: Sequence[Translator], out: Path) -> None:
        self._samplers = samplers
        self._translators = translators
        self._out = out
        self._texts = TextFile(out.with_name(TEXTS))
        self._unwritten: deque[Work] = deque()
        self.num_left_out = 0
        """Versions without a text: a server refused, or a translator could not do it."""

    def finish(self) -> None:
        """All excerpts are written."""
        self._texts.remove()

    def run(self, works: Sequence[Work]) -> Exception | None:
        """The first failure of a sampler or translator; what was complete by then is written."""
        failure: Exception | None = None
        self._unwritten = deque(works)
        for work in works:
            work.missing = sum(plan.request is not None or plan.translate is not None for plan in work.plans)
        for work in works:
            for plan in work.plans:
                if plan.version.id in self._texts.found:
                    self._fill(work, plan, self._texts.found[plan.version.id])
                    plan.request = plan.translate = None
        self._write_in_order()
        for index in range(len(self._samplers)):
            failure = self._sample(index, works) or failure
        for index in range(len(self._translators)):
            failure = self._translate(index, works) or failure
        for work in self._unwritten:  # behind one that a failure left incomplete
            if not work.missing:
                self._write(work)
        return failure

    def _sample(self, index: int, works: Sequence[Work]) -> Exception | None:
        todo = [(w, p, p.request) for w in works for p in w.plans if p.request is not None and p.sampler == index]
        sampler = self._samplers[index]
        try:
            self._take(sampler.name, todo, sampler.sample([request for _, _, request in todo]))
        except SamplingError as error:
            return error
        return None

    def _translate(self, index: int, works: Sequence[Work]) -> Exception | None:
        plans = [(work, plan, plan.translate) for work in works for plan in work.plans if plan.translator == index]
        todo = [(work, plan, text) for work, plan, text in plans if text is not None]
        translator = self._translators[index]
        try:
            self._take(translator.name, todo, translator.there_and_back([text for _, _, text in todo]))
        except TranslationError as error:
            return error
        return None

    def _take(
        self, name: str, todo: Sequence[tuple[Work, Plan, object]], texts: Iterator[tuple[int, str | None]]
    ) -> None:
        """The texts of what is to do, by its index, as they come. None: it was refused, or could not be done."""
        for number, text in tqdm(texts, name, len(todo), leave=False, disable=None):
            work, plan, _ = todo[number]
            self._texts.add(plan.version.id, text)
            self._fill(work, plan, text)

    def _fill(self, work: Work, plan: Plan, text: str | None) -> None:
        """A version without text is left out."""
        # A server may send half of a character, as an escape in JSON; it could not be written.
        whole = (plan.prefix + _SURROGATES.sub("\ufffd", text or ""))[: plan.max_chars]
        plan.version = replace(plan.version, text=whole, rejected=((len(plan.prefix), len(whole)),))
        work.missing -= 1
        self._write_in_order()

    def _write_in_order(self) -> None:
        while self._unwritten and not self._unwritten[0].missing:
            self._write(self._unwritten.popleft())

    def _write(self, work: Work) -> None:
        versions = [in_nfc(plan.version) for plan in work.plans]
        lines = [v.line() for v in versions if v.kind == REAL or (v.rejected and v.rejected[0][0] < v.rejected[0][1])]
        self.num_left_out += len(versions) - len(lines)
        with writing(self._out), self._out.open("a", encoding="utf-8") as out:
            out.write("".join(lines))
