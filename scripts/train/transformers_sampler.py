"""Continuations of text from a checkpoint in this process."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from prompt import END_OF_TEXT
from sampling import CONTEXT_TOKENS, Request, check_requests, without_cut_character
from tokenizers import Tokenizer
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

PADDING_STEP = 32
"""Contexts are padded to a multiple of this; see `TransformersSampler`."""
CHARS_PER_TOKEN = 24
"""Far more than the tokens of any text have on average: where a prefix may be cut before it is tokenised."""


class _TextCodec:
    """Text to ids and back, by `tokenizer.json` alone if the checkpoint has one."""

    def __init__(self, checkpoint: Path | str) -> None:
        file = Path(checkpoint) / "tokenizer.json"
        if file.is_file():
            backend: Tokenizer | None = Tokenizer.from_file(str(file))
            self._slow = None
        else:
            self._slow = AutoTokenizer.from_pretrained(checkpoint)
            backend = getattr(self._slow, "backend_tokenizer", None)
        self._fast = backend if isinstance(backend, Tokenizer) else None
        if self._fast is not None:
            self._slow = None
            self._fast.no_truncation()
            self._fast.no_padding()
            # A prefix is text, whatever it says: "<|endoftext|>" in it is no end of text.
            self._fast.encode_special_tokens = True

    def encode(self, text: str) -> list[int]:
        if self._fast is not None:
            return self._fast.encode(text, add_special_tokens=False).ids
        return self._slow.encode(text, add_special_tokens=False)

    def decode(self, ids: list[int]) -> str:
        if self._fast is not None:
            return self._fast.decode(ids, skip_special_tokens=False)
        return self._slow.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def token_to_id(self, token: str) -> int | None:
        if self._fast is not None:
            return self._fast.token_to_id(token)
        return self._slow.get_vocab().get(token)

    @property
    def size(self) -> int:
        if self._fast is not None:
            return max(self._fast.get_vocab(with_added_tokens=True).values()) + 1
        return max(self._slow.get_vocab().values()) + 1

    def added_ids(self) -> list[int]:
        """Ids of all added tokens that are no plain white space (some tokenizers add runs of blanks as tokens)."""
        decoder = self._fast.get_added_tokens_decoder() if self._fast is not None else self._slow.added_tokens_decoder
        return [id_ for id_, token in decoder.items() if token.special or not token.content.isspace()]


GROUPED_ATTENTION = "grouped"
GROUPED_MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures whose attention is no more than softmax of scaled products and the mask."""


def _grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Query heads that share keys go through one product, so that no key is copied for them.

    In float32: for a single new token torch's CPU kernels took three to six times as long, in bfloat16 above all.
    """
    batch, heads, length, size = query.shape
    groups = key.shape[1]
    rows = (query.float() * scaling).reshape(batch, groups, heads // groups * length, size)
    scores = (rows @ key.float().transpose(2, 3)).view(batch, groups, heads // groups, length, -1)
    if attention_mask is not None:
        scores = scores + attention_mask[:, :, None, :, : scores.shape[-1]]
    weights = scores.softmax(-1).view(batch, groups, heads // groups * length, -1)
    out = (weights @ value.float()).view(batch, heads, length, size)
    return out.transpose(1, 2).to(query.dtype).contiguous(), None


AttentionInterface.register(GROUPED_ATTENTION, _grouped_attention)
AttentionMaskInterface.register(GROUPED_ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])


class _ReservedLayer(DynamicLayer):
    """A cache layer in float32 that grows with room to spare: the stock one copies all of itself at every token."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self._length = 0
        self._buffers = (key_states.new_empty(0), value_states.new_empty(0))

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key_states, value_states = key_states.float(), value_states.float()  # as the grouped attention wants them
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        begin, end = self._length, self._length + key_states.shape[-2]
        if begin == 0 or end > self._buffers[0].shape[-2]:
            self._buffers = tuple(
                self._grown(buffer, new, begin, end)
                for buffer, new in zip(self._buffers, (key_states, value_states), strict=True)
            )
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., begin:end, :] = new
        self._length = end
        self.keys, self.values = (buffer[..., :end, :] for buffer in self._buffers)
        return self.keys, self.values

    @staticmethod
    def _grown(buffer: torch.Tensor, new: torch.Tensor, begin: int, end: int) -> torch.Tensor:
        grown = new.new_empty(*new.shape[:-2], end + max(64, end // 4), new.shape[-1])
        if begin:
            grown[..., :begin, :] = buffer[..., :begin, :]
        return grown


@dataclass(frozen=True)
class _Prepared:
    index: int
    request: Request
    context: list[int]


class TransformersSampler:
    """Samples from a causal language model in this process.

    The same request gives the same text alone, among others and in any place of a batch, on the same machine with the
    same `batch` and `threads`. Equal random numbers do not suffice for that: kernels round differently for different
    shapes, and one token that tips over changes all that follows. So all that a request meets has a shape which follows
    from itself: its context padded to a multiple of `PADDING_STEP`, with others of that padded length, in a batch that
    is always full, if need be with copies of a request. A few requests therefore take as long as `batch` of them.
    """

    def __init__(
        self,
        checkpoint: Path | str,
        *,
        batch: int = 128,
        threads: int | None = None,
        device: str = "cpu",
        max_context_tokens: int = CONTEXT_TOKENS,
        bfloat16: bool = True,
    ) -> None:
        """`threads`: of PyTorch in the whole process. `bfloat16`: compute in it, sample in float32 all the same."""
        numbers = {"batch": batch, "max_context_tokens": max_context_tokens, "threads": threads}
        for place, value in numbers.items():
            if value is not None and value < 1:
                raise ValueError(f"{place}: expected 1 or more, found {value}")
        folder = Path(checkpoint)
        # What cannot be the NAME or OWNER/NAME of a published model must be a folder.
        name = str(checkpoint)
        is_path = isinstance(checkpoint, Path) or name.startswith((".", "/")) or name.count("/") > 1
        is_folder = is_path or folder.is_dir()
        if is_folder and not (folder / "config.json").is_file():
            found = "none in it" if folder.is_dir() else "no such folder"
            raise ValueError(f"{checkpoint}: expected a checkpoint folder with config.json, found {found}")
        if threads is not None:
            torch.set_num_threads(threads)
        self.name = f"transformers:{folder.resolve().name if is_folder else name}"
        self._batch = batch
        self._device = torch.device(device)
        self._max_context_tokens = max_context_tokens
        try:
            self._codec = _TextCodec(checkpoint)
            config = AutoConfig.from_pretrained(checkpoint)
            dtype = torch.bfloat16 if bfloat16 else torch.float32
            self._model = AutoModelForCausalLM.from_pretrained(checkpoint, config=config, dtype=dtype)
        except OSError as error:
            if is_folder:
                raise
            raise ValueError(
                f"expected a checkpoint folder, or the name of a published model that can be loaded, found no such "
                f"folder, and as a name: {error}"
            ) from error
        self._model.eval().to(self._device)
        self._is_grouped = self._device.type == "cpu" and config.model_type in GROUPED_MODEL_TYPES
        if self._is_grouped:
            self._model.set_attn_implementation(GROUPED_ATTENTION)
        self._accepted = inspect.signature(self._model.forward).parameters
        self._config = config.get_text_config()
        self._num_positions = getattr(self._config, "max_position_embeddings", None)
        # A context has one token at least.
        self.max_tokens = None if self._num_positions is None else self._num_positions - 1
        self._beginning = self._beginning_id()
        head = self._model.get_output_embeddings().weight
        num_logits = head.shape[0]
        if (num_zero := int((head == 0).all(dim=1).sum())) > num_logits // 2:
            raise ValueError(
                f"{self.name}: expected a language model, found one that knows {num_logits - num_zero} of {num_logits} "
                "tokens: a judge, whose head keeps its letters only"
            )
        # Beyond the tokenizer's ids there may be rows that only fill the matrix up.
        forbidden = {*self._codec.added_ids(), *range(self._codec.size, num_logits)}
        forbidden |= set(_ids(self._config.bos_token_id)) | set(_ids(self._config.eos_token_id))
        self._forbidden = torch.tensor(sorted(i for i in forbidden if i < num_logits), device=self._device)

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, str]]:
        check_requests(requests)
        groups: dict[tuple[int, bool], list[_Prepared]] = {}
        for index, request in enumerate(requests):
            context = self._context(index, request)
            padded = min(-(-len(context) // PADDING_STEP) * PADDING_STEP, self._longest_context(request))
            # Without padding the model needs no mask and takes other kernels: a group of its own.
            groups.setdefault((padded, len(context) < padded), []).append(_Prepared(index, request, context))
        for (padded, _), group in sorted(groups.items()):
            group.sort(key=lambda prepared: prepared.request.max_tokens)
            for begin in range(0, len(group), self._batch):
                members = group[begin : begin + self._batch]
                rows = self._sample_batch(members, padded)
                for member, ids in zip(members, rows, strict=True):
                    yield member.index, without_cut_character(self._codec.decode(ids[: member.request.max_tokens]))

    def _longest_context(self, request: Request) -> int:
        if self._num_positions is None:
            return self._max_context_tokens
        return min(self._max_context_tokens, self._num_positions - request.max_tokens)

    def _context(self, index: int, request: Request) -> list[int]:
        longest = self._longest_context(request)
        if longest < 1:
            raise ValueError(
                f"request {index}: max_tokens: expected less than the model's {self._num_positions} positions, "
                f"found {request.max_tokens}"
            )
        tail = request.prefix[-longest * CHARS_PER_TOKEN :]
        ids = self._codec.encode(tail)
        if len(ids) <= longest and len(tail) < len(request.prefix):
            ids = self._codec.encode(request.prefix)
        return ids[-longest:] or [self._beginning]

    def _beginning_id(self) -> int:
        for id_ in (*_ids(self._config.bos_token_id), self._codec.token_to_id(END_OF_TEXT)):
            if id_ is not None:
                return id_
        for id_ in _ids(self._config.eos_token_id):
            return id_
        raise ValueError(f"{self.name}: expected bos_token_id, eos_token_id or a token {END_OF_TEXT}, found none")

    @torch.inference_mode()
    def _sample_batch(self, members: Sequence[_Prepared], padded: int) -> list[list[int]]:
        filled = [*members, *(members[-1] for _ in range(self._batch - len(members)))]
        num_tokens = max(member.request.max_tokens for member in members)
        rows = [[self._beginning] * (padded - len(m.context)) + m.context for m in filled]
        input_ids = torch.tensor(rows, device=self._device)
        lengths = torch.tensor([len(m.context) for m in filled], device=self._device)
        mask = torch.arange(padded, device=self._device) >= padded - lengths[:, None]
        is_padded = not bool(mask.all())
        mask = torch.cat([mask, mask.new_ones(self._batch, num_tokens)], dim=1)
        temperatures = torch.tensor([[m.request.temperature] for m in filled], device=self._device)
        draws = torch.stack([_draws(m.request, num_tokens) for m in filled]).to(self._device)
        cache = self._new_cache()
        begin, end = 0, padded
        out: list[torch.Tensor] = []
        for step in range(num_tokens):
            options: dict[str, Any] = {"logits_to_keep": 1}
            if is_padded:
                positions = (mask[:, :end].cumsum(1) - 1).clamp(min=0)[:, begin:]
                options |= {"attention_mask": mask[:, :end].long(), "position_ids": positions}
            # Models without position ids (ALiBi) read the positions off the mask.
            options = {name: value for name, value in options.items() if name in self._accepted}
            logits = self._model(input_ids=input_ids, past_key_values=cache, use_cache=True, **options).logits[:, -1]
            input_ids = _pick(logits.float(), temperatures, draws[:, step : step + 1], self._forbidden)
            out.append(input_ids)
            begin, end = end, end + 1
        return torch.cat(out, dim=1)[: len(members)].tolist()

    def _new_cache(self) -> DynamicCache:
        cache = DynamicCache(config=self._config)
        if self._is_grouped:
            cache.layers = [_ReservedLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
        return cache


def _ids(value: int | list[int] | None) -> list[int]:
    """A configuration's token id, which may be missing or several."""
    return [] if value is None else [value] if isinstance(value, int) else list(value)


def _draws(request: Request, num_tokens: int) -> torch.Tensor:
    """Uniform random numbers, one a token: the beginning of a request's own sequence."""
    generator = torch.Generator().manual_seed(request.seed)
    return torch.rand(num_tokens, generator=generator, dtype=torch.float64)


def _pick(
    logits: torch.Tensor, temperatures: torch.Tensor, draws: torch.Tensor, forbidden: torch.Tensor
) -> torch.Tensor:
    """One id a row, by inversion of the distribution function: far cheaper than noise for each id of the vocabulary."""
    logits[:, forbidden] = float("-inf")
    best, likeliest = logits.max(dim=-1, keepdim=True)
    # The floor keeps the likeliest at 0 / tiny = 0; exact ties at temperature 0 are broken below.
    weights = ((logits - best) / temperatures.clamp(min=1e-30)).exp()
    sums = weights.double().cumsum(-1)
    total = sums[:, -1:]
    # A target that rounds up to the total would be behind the last id that has any weight.
    target = torch.minimum(draws * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.where(temperatures == 0, likeliest, torch.searchsorted(sums, target, right=True))
