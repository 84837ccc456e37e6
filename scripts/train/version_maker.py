"""Gets the texts of planned versions from samplers and translators, and writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sampling import Sampler, SamplingError
from tqdm import tqdm
from translate import TranslationError, Translator
from version_plans import Plan, Work
from versions import REAL, in_nfc

_SURROGATES = re.compile("[\ud800-\udfff]")


class Maker:
    """Carries plans out, batch by batch, and writes the versions of an excerpt when all of them are there."""

    def __init__(self, samplers: Sequence[Sampler], translators: Sequence[Translator], out: Path) -> None:
        self._samplers = samplers
        self._translators = translators
        self._out = out
        self.num_left_out = 0
        """Versions without a text: a server refused, or a translator could not do it."""

    def run(self, works: Sequence[Work]) -> Exception | None:
        """The first failure of a sampler or translator; what was complete by then is written."""
        failure: Exception | None = None
        for work in works:
            work.missing = sum(plan.request is not None or plan.translate is not None for plan in work.plans)
            self._write_if_complete(work)
        for index in range(len(self._samplers)):
            failure = self._sample(index, works) or failure
        for index in range(len(self._translators)):
            failure = self._translate(index, works) or failure
        return failure

    def _sample(self, index: int, works: Sequence[Work]) -> Exception | None:
        todo = [(w, p, p.request) for w in works for p in w.plans if p.request is not None and p.sampler == index]
        try:
            texts = self._samplers[index].sample([request for _, _, request in todo])
            for number, text in tqdm(texts, self._samplers[index].name, len(todo), leave=False, disable=None):
                work, plan, _ = todo[number]
                self._fill(work, plan, text)  # None: the sampler refused it
        except SamplingError as error:
            return error
        return None

    def _translate(self, index: int, works: Sequence[Work]) -> Exception | None:
        plans = [(work, plan, plan.translate) for work in works for plan in work.plans if plan.translator == index]
        todo = [(work, plan, text) for work, plan, text in plans if text is not None]
        try:
            translations = self._translators[index].there_and_back([text for _, _, text in todo])
            for number, translation in tqdm(
                translations, self._translators[index].name, len(todo), leave=False, disable=None
            ):
                work, plan, _ = todo[number]
                self._fill(work, plan, translation)  # None: it could not be translated
        except TranslationError as error:
            return error
        return None

    def _fill(self, work: Work, plan: Plan, text: str | None) -> None:
        """A version without text is left out."""
        # A server may send half of a character, as an escape in JSON; it could not be written.
        whole = (plan.prefix + _SURROGATES.sub("\ufffd", text or ""))[: plan.max_chars]
        plan.version = replace(plan.version, text=whole, rejected=((len(plan.prefix), len(whole)),))
        work.missing -= 1
        self._write_if_complete(work)

    def _write_if_complete(self, work: Work) -> None:
        if work.missing:
            return
        versions = [in_nfc(plan.version) for plan in work.plans]
        lines = [v.line() for v in versions if v.kind == REAL or (v.rejected and v.rejected[0][0] < v.rejected[0][1])]
        self.num_left_out += len(versions) - len(lines)
        with self._out.open("a", encoding="utf-8") as out:
            out.write("".join(lines))
