"""Continuations of text from a language model: from a checkpoint in this process, or from an OpenAI-compatible server.

No top-k, no top-p: the temperature alone decides how wild the text is. A server is told so, and not to end texts early;
one that does not know all of these fields follows its own defaults in those (`OpenAISampler`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from http_post import HttpError, MalformedAnswer, Poster, RetryPolicy, require_http_url
from http_retry import JsonEndpoint
from prompt import END_OF_TEXT

REPLACEMENT = "\ufffd"
CONTEXT_TOKENS = 192
"""Of the prefix, what a model in this process sees by default."""
SERVER_CONTEXT_TOKENS = 2048
"""The same at a server, whose model may be large, but has not room for any text."""
SERVER_CHARS_PER_TOKEN = 4
"""A server's tokens cannot be counted here: those of English text."""
SAMPLER_SPECS = "transformers:PATH_OR_NAME or openai:URL#MODEL"


@dataclass(frozen=True)
class Request:
    """A continuation wanted."""

    prefix: str
    """May be empty: a beginning."""
    max_tokens: int
    """Of the sampling model's tokenizer."""
    temperature: float
    """0: always the likeliest token."""
    seed: int
    """Of this request alone: its text does not depend on its neighbours, where the backend can promise it."""


class SamplingError(Exception):
    """Text that could not be sampled; what was finished before has been yielded."""


class Sampler(Protocol):
    name: str
    """For provenance: "transformers:base", "http:model-name"."""
    max_tokens: int | None
    """The most that one request may ask for; None: not known."""

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, str | None]]:
        """(index, continuation without the prefix) of each request as it is done, in any order.

        None stands for a request that the sampler, though it works, refuses.
        """
        ...


def check_requests(requests: Sequence[Request]) -> None:
    for index, request in enumerate(requests):
        if request.max_tokens < 1:
            raise ValueError(f"request {index}: max_tokens: expected 1 or more, found {request.max_tokens}")
        if not 0 <= request.temperature < float("inf"):
            raise ValueError(f"request {index}: temperature: expected a number from 0 on, found {request.temperature}")


def without_cut_character(text: str) -> str:
    """`text` without the remains of a character at its end whose last bytes were not sampled any more."""
    return text.rstrip(REPLACEMENT)


class OpenAISampler:
    """Samples from a server with the OpenAI completions protocol, for example vLLM.

    The seed is sent along; whether the same request gives the same text is the server's matter. What a request leaves
    open, vLLM takes from the model's generation_config.json: everything is said. The fields that are not OpenAI's
    (`_beyond_protocol`) are left out for good once the server has taken a request without them and not with them.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        concurrency: int = 8,
        timeout_s: float = 60.0,
        max_retries: int = 5,
        max_context_tokens: int = SERVER_CONTEXT_TOKENS,
        beginning: str = END_OF_TEXT,
        policy: RetryPolicy | None = None,
    ) -> None:
        """`base_url` is what stands before /completions. `beginning` is sent for an empty prefix, which servers refuse.

        Of a prefix, the last `max_context_tokens` are sent, of `SERVER_CHARS_PER_TOKEN` characters each. `policy`, if
        given, takes the place of `max_retries`.
        """
        base_url = require_http_url(base_url, "base_url")
        if not model:
            raise ValueError("model: expected the name of a model that the server has, found an empty one")
        if max_context_tokens < 1:
            raise ValueError(f"max_context_tokens: expected 1 or more, found {max_context_tokens}")
        self.name = f"http:{model}"
        self.max_tokens: int | None = None
        self._max_context_chars = max_context_tokens * SERVER_CHARS_PER_TOKEN
        self._takes_more: bool | None = None
        self._model = model
        self._beginning = beginning
        api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self._endpoint = JsonEndpoint(
            f"{base_url}/completions",
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            concurrency=concurrency,
            timeout_s=timeout_s,
            policy=policy or RetryPolicy(max_retries=max_retries),
        )

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, str | None]]:
        check_requests(requests)
        try:
            yield from self._endpoint.run([lambda poster, r=request: self._complete(poster, r) for request in requests])
        except HttpError as error:
            raise SamplingError(str(error)) from error

    def _complete(self, poster: Poster, request: Request) -> str:
        body = {
            "model": self._model,
            "prompt": request.prefix[-self._max_context_chars :] or self._beginning,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": 1,
            "seed": request.seed,
            "n": 1,
        }
        if self._takes_more is not False:
            try:
                text = self._post(poster, body | _beyond_protocol(request))
            except HttpError as error:
                if self._takes_more or not error.is_refusal:
                    raise
            else:
                self._takes_more = True
                return text
        text = self._post(poster, body)
        self._takes_more = bool(self._takes_more)  # another request may have found out meanwhile
        return text

    @staticmethod
    def _post(poster: Poster, body: dict[str, Any]) -> str:
        return without_cut_character(poster.post(body, _completion_text, "a completion"))


def _beyond_protocol(request: Request) -> dict[str, Any]:
    """What vLLM and llama.cpp know besides: nothing but the temperature, and no end before `max_tokens`.

    Both for the end: vLLM only hides it with ignore_eos and goes on; min_tokens forbids it.
    """
    return {
        "top_k": -1,
        "min_p": 0,
        "repetition_penalty": 1,
        "ignore_eos": True,
        "min_tokens": request.max_tokens,
    }


def _completion_text(answer: Any) -> str:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        raise MalformedAnswer('an object with a list "choices" that is not empty', answer)
    text = choices[0].get("text") if isinstance(choices[0], dict) else None
    if not isinstance(text, str):
        raise MalformedAnswer('a string "text" in "choices"', answer)
    return text


def open_sampler(
    spec: str,
    *,
    batch: int = 128,
    threads: int | None = None,
    device: str = "cpu",
    max_context_tokens: int | None = None,
    api_key: str | None = None,
    concurrency: int = 8,
    timeout_s: float = 60.0,
    max_retries: int = 5,
) -> Sampler:
    """The sampler that a command line names: `SAMPLER_SPECS`. `max_context_tokens`: see `CONTEXT_TOKENS` and after."""
    kind, _, rest = spec.partition(":")
    if kind == "transformers" and rest:
        from transformers_sampler import TransformersSampler  # torch takes seconds to import

        return TransformersSampler(
            rest,
            batch=batch,
            threads=threads,
            device=device,
            max_context_tokens=CONTEXT_TOKENS if max_context_tokens is None else max_context_tokens,
        )
    if kind == "openai":
        url, _, model = rest.partition("#")
        if not url or not model:
            raise ValueError(f"sampler: expected openai:URL#MODEL, found {spec!r}")
        require_http_url(url, f"sampler {spec!r}: URL")
        return OpenAISampler(
            url,
            model,
            api_key=api_key,
            concurrency=concurrency,
            timeout_s=timeout_s,
            max_retries=max_retries,
            max_context_tokens=SERVER_CONTEXT_TOKENS if max_context_tokens is None else max_context_tokens,
        )
    raise ValueError(f"sampler: expected {SAMPLER_SPECS}, found {spec!r}")
