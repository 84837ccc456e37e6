"""Scores documents with a chunk-judging preference model, with the same bits as the program `prm-score`.

    scorer = prm_score.Scorer()
    [result] = scorer.score(["We hold these truths to be self-evident."])
    result.reward, result.log_odds

Importing loads the libtorch of the installed torch package, but does not import torch; `import torch` before or after
works, and is the same libtorch. A process that is forked off may go on using a Scorer, except one on a GPU; its own
threads, of the engine or of Python, do not come along, so fork while no thread scores.
"""

from prm_score import _libtorch

_libtorch.load()

from prm_score._build import VERSION as __version__  # noqa: E402
from prm_score._native import Error  # noqa: E402
from prm_score.scorer import Result, Scorer, Span  # noqa: E402

__all__ = ["Error", "Result", "Scorer", "Span", "__version__"]
